curl -fsS -X PUT "$CLEAR_URL/einv/v2/eInvoice/generate" \
  -H 'gstin: 29AAFCD5862R000' -H 'content-type: application/json' \
  -d '[{"transaction": {"DocDtls": {"Typ": "INV", "No": "C/002", "Dt": "01/04/2026"}}}]'
