# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role relies on in k3s, line by line, asked of any binary that says it is k3s.

    K3S_BINARY=/path/k3s pytest tests/k3s_contract

Each test is one sentence of the contract and carries its section and the kind of evidence for it: S seen in k3s'
source, D official documentation, I an issue or a published log. At the end a table tells on which lines the binary
differs. Nothing here knows how the binary is made.
"""
