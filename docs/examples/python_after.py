import json
import os
from urllib.request import Request, urlopen

base_url = os.environ.get("CLEAR_URL", "http://127.0.0.1:8080")

call = Request(
    f"{base_url}/einv/v2/eInvoice/generate",
    method="PUT",
    headers={"content-type": "application/json", "gstin": "29AAFCD5862R000"},
    data=json.dumps([{"transaction": {"DocDtls": {"Typ": "INV", "No": "P/002", "Dt": "01/04/2026"}}}]).encode(),
)
with urlopen(call, timeout=60) as answer:
    print(answer.status, answer.read().decode())
