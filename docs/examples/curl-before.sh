token=$(curl -fsS -H "x-clear-client-secret: $CLIENT_SECRET" \
  "$CLEAR_URL/integration/v1/authz/token" | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
curl -fsS -X PUT "$CLEAR_URL/einv/v2/eInvoice/generate" \
  -H "x-cleartax-auth-token: $token" -H 'gstin: 29AAFCD5862R000' -H 'content-type: application/json' \
  -d '[{"transaction": {"DocDtls": {"Typ": "INV", "No": "C/001", "Dt": "01/04/2026"}}}]'
