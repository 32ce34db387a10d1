#!/usr/bin/env bash
# Starts etcd and kube-apiserver on loopback with a namespace "shops" that enforces the restricted Pod Security Standard, and
# in it what the chart makes; then runs a command with KUBECONFIG and KUBECONFIG_TEST, and ends both.
#   ETCD=… KUBE_APISERVER=… HELM=… KUBECTL=… scripts/kube-cluster.sh COMMAND…
set -euo pipefail
dir=$(mktemp -d)
trap 'kill -9 $(jobs -p) 2>/dev/null || true; wait 2>/dev/null; rm -rf "$dir"' EXIT
free() { node -p 'const s=require("net").createServer().listen(0,"127.0.0.1",()=>{console.log(s.address().port);s.close()});""' | grep .; }
etcd=$(free) peer=$(free) port=$(free)

"$ETCD" --data-dir "$dir/etcd" --listen-client-urls "http://127.0.0.1:$etcd" --advertise-client-urls "http://127.0.0.1:$etcd" \
  --listen-peer-urls "http://127.0.0.1:$peer" --initial-advertise-peer-urls "http://127.0.0.1:$peer" \
  --initial-cluster "default=http://127.0.0.1:$peer" --unsafe-no-fsync > "$dir/etcd.log" 2>&1 &

openssl genrsa -out "$dir/account.key" 2048 2> /dev/null
admin=$(openssl rand -hex 16)
echo "$admin,admin,1,system:masters" > "$dir/tokens.csv"
"$KUBE_APISERVER" --etcd-servers "http://127.0.0.1:$etcd" --bind-address 127.0.0.1 --secure-port "$port" --cert-dir "$dir/certs" \
  --authorization-mode RBAC --token-auth-file "$dir/tokens.csv" --disable-admission-plugins ServiceAccount \
  --service-account-issuer https://kubernetes.default.svc --service-account-key-file "$dir/account.key" \
  --service-account-signing-key-file "$dir/account.key" --service-cluster-ip-range 10.0.0.0/24 > "$dir/apiserver.log" 2>&1 &

export KUBECONFIG="$dir/config"
cat > "$KUBECONFIG" <<CONFIG
apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "https://127.0.0.1:$port", certificate-authority: "$dir/certs/apiserver.crt"}}]
users: [{name: admin, user: {token: "$admin"}}]
contexts: [{name: test, context: {cluster: test, user: admin, namespace: shops}}]
current-context: test
CONFIG
for _ in $(seq 300); do
  "$KUBECTL" get --raw /readyz > /dev/null 2>&1 && break
  sleep 0.1
done
"$KUBECTL" get --raw /readyz > /dev/null || { tail -5 "$dir/apiserver.log" >&2; exit 1; }

"$KUBECTL" create namespace shops > /dev/null
"$KUBECTL" label namespace shops pod-security.kubernetes.io/enforce=restricted > /dev/null
for release in shop fleet; do
  "$HELM" upgrade --install "$release" helm/token-sidecar --namespace shops > /dev/null
  "$KUBECTL" create token "$release-token-sidecar" > "$dir/$release.token"
done
export KUBECONFIG_TEST="$dir/test.json"
cat > "$KUBECONFIG_TEST" <<JSON
{
  "apiUrl": "https://127.0.0.1:$port",
  "caFile": "$dir/certs/apiserver.crt",
  "namespace": "shops",
  "tokenFile": "$dir/shop.token",
  "secret": "shop-token-sidecar",
  "fleetTokenFile": "$dir/fleet.token",
  "fleetSecret": "fleet-token-sidecar"
}
JSON
"$@"
