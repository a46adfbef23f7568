# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""One address in front of all nodes of a site. To the server it is an engine like any other; behind it, an answer goes
on at another node when the one that draws it fails.

Read in this order: `wire` says how a node is asked, `attempt` asks one, `nodes` says which one, `answer` what happens
when it fails and `blame` who was the reason; `site` keeps the nodes, which `slices` lists and whose hearts `listening`
hears (`heartbeat` is what is said, `beating` the node's side); `engine` is the whole, and `event_ids` a layer around
the server for clients that come back.
"""
