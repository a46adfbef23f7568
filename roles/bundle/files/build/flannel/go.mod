// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

module holdfast.internal/bundle/flannel

go 1.26.0

// The program that this recipe builds: naming it here keeps go.mod and go.sum to what it imports.
tool github.com/flannel-io/flannel

require github.com/flannel-io/flannel v0.28.9
