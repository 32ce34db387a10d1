#!/usr/bin/env bash
# Compiles kube-apiserver and etcd into DIR, for tests against a real API server where no cluster and no download of one can be had:
# only Go and its module proxy are needed, and some eight minutes on two processors.
#   scripts/kube-apiserver.sh DIR
set -euo pipefail
mkdir -p "$1/kube-apiserver.d" "$1/etcd.d" && cd "$1"
export GOFLAGS=-mod=mod GONOSUMDB='k8s.io/*'

# Distributions still have 3.4, which knows no progress notifications: this API server then refuses every watch.
if [ ! -x etcd ]; then
  cd etcd.d
  printf 'module etcd\ngo 1.26.0\nrequire go.etcd.io/etcd/server/v3 v3.6.6\n' > go.mod
  cat > main.go <<'GO'
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
GO
  go mod tidy
  go build -ldflags '-s -w' -o ../etcd .
  cd ..
fi

[ -x kube-apiserver ] && exit
cd kube-apiserver.d
release=37.2
# Modules of the main repository are released beside it as v0.x, but named by folder inside it, so `go install` refuses it.
modules() {
  go mod download -json "k8s.io/kubernetes@v1.$release" | sed -n 's/.*"GoMod": "\(.*\)",*/\1/p' | xargs cat |
    sed -n 's/^\s*\(k8s.io\/[a-z-]*\) => .\/staging.*/\1/p;s/^\s*\(k8s.io\/[a-z-]*\) v0.0.0$/\1/p' | sort -u
}
printf 'module kubeapiserver\ngo 1.26.0\n' > go.mod
staged=$(modules)
{
  echo "require k8s.io/kubernetes v1.$release"
  for module in $staged; do echo "replace $module => $module v0.$release"; done
} >> go.mod
cat > main.go <<'GO'
package main

import (
	"os"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() { os.Exit(cli.Run(app.NewAPIServerCommand())) }
GO
version=k8s.io/component-base/version
go mod tidy
go build -ldflags "-s -w -X $version.gitVersion=v1.$release -X $version.gitMajor=1 -X $version.gitMinor=${release%.*}" -o ../kube-apiserver .
