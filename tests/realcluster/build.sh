#!/bin/sh
# Build kube-apiserver, kube-controller-manager, the kubelet stand-in and etcd from their Go modules.
# The last line on stdout is the folder of the binaries (for KUBEBUILDER_ASSETS); progress goes to stderr.
set -eu

KUBERNETES=1.35.4 # must be the version that kube/go.mod requires

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
cache=${KUBEOIDCPROXY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kubeoidcproxy}
bin=$cache/realcluster-v$KUBERNETES/bin

say() { printf '%s\n' "realcluster: $*" >&2; }

if ! command -v go >/dev/null 2>&1; then
    say "no 'go' on PATH; the real control plane is built from source and needs Go 1.26 or newer"
    exit 3
fi
grep -q "k8s.io/kubernetes v$KUBERNETES\b" "$here/kube/go.mod" || {
    say "kube/go.mod does not require k8s.io/kubernetes v$KUBERNETES; make the two agree"
    exit 1
}
mkdir -p "$bin"

# What a release build sets; without it the server calls itself v0.0.0-master and kubectl warns of version skew.
version=k8s.io/component-base/version
release="-X $version.gitVersion=v$KUBERNETES -X $version.gitMajor=${KUBERNETES%%.*}"
release="$release -X $version.gitMinor=$(echo "$KUBERNETES" | cut -d. -f2) -X $version.gitTreeState=clean"

# One binary at a time: linking kube-apiserver takes 1.8 GiB, and `go build` of several links them side by side.
# Flags are the same everywhere, or nothing is shared in the build cache; without -buildvcs=false every commit relinks.
build() { # module-folder binary package
    say "building $2 (minutes when the cache is empty, a second when it is up to date)"
    (cd "$here/$1" && go build -trimpath -buildvcs=false -ldflags "-s -w $release" -o "$bin/$2" "$3") >&2
}

build kube kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver
build kube kube-controller-manager k8s.io/kubernetes/cmd/kube-controller-manager
build kube minikubelet ./minikubelet
build etcd etcd go.etcd.io/etcd/server/v3

printf '%s\n' "$bin"
