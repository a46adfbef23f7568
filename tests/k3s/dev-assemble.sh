#!/bin/sh
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Builds the launcher and puts it together with what the bundle in the cache holds, as bundle.yml does: for development,
# where a whole run of the bundle would be too slow. Usage: dev-assemble.sh [VERSION] [FOLDER]. Loose files for parts that
# no bundle has yet are taken from $K3S_EXTRA_PARTS; the second minor's kubernetes from k3s-dev/parts in the cache.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
version=${1:-1.36.4+k3s1}
cache=${HOLDFAST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/holdfast}
target=${2:-$cache/k3s-dev/$version}
python=${PYTHON:-python3}

mkdir -p "$target"
launcher=$(mktemp "$target/.launcher.XXXXXX")
trap 'rm -f "$launcher"' EXIT

cd "$here"
GOFLAGS='-mod=readonly -trimpath -buildvcs=false' GOMODCACHE=$cache/go/mod GOCACHE=$cache/go/build CGO_ENABLED=0 \
    GOTOOLCHAIN=local go build -ldflags "-s -w -X=holdfast.internal/k3s/internal/version.Version=v$version" -o "$launcher" .

set -- --version "$version" --bundle "$cache/bundle" --bundle "$cache/k3s-dev/parts" --launcher "$launcher" --to "$target"
[ -z "${K3S_EXTRA_PARTS:-}" ] || set -- "$@" --bundle "$K3S_EXTRA_PARTS"
PYTHONPATH=$here/../../collections "$python" assemble.py "$@"
ls -l "$target"
