#!/usr/bin/env bash
# Compiles kube-apiserver into DIR, for tests against a real API server where no cluster and no download of one can be had:
# only Go and its module proxy are needed, and some eight minutes on two processors.
#   scripts/kube-apiserver.sh DIR
set -euo pipefail
mkdir -p "$1" && cd "$1"
[ -x kube-apiserver ] && exit

release=37.2
# Modules of the main repository are released beside it as v0.x, but named by folder inside it, so `go install` refuses it.
modules() {
  go mod download -json "k8s.io/kubernetes@v1.$release" | sed -n 's/.*"GoMod": "\(.*\)",*/\1/p' | xargs cat |
    sed -n 's/^\s*\(k8s.io\/[a-z-]*\) => .\/staging.*/\1/p;s/^\s*\(k8s.io\/[a-z-]*\) v0.0.0.*/\1/p' | sort -u
}
export GOFLAGS=-mod=mod GONOSUMDB='k8s.io/*'
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
go build -ldflags "-s -w -X $version.gitVersion=v1.$release -X $version.gitMajor=1 -X $version.gitMinor=${release%.*}" -o kube-apiserver .
