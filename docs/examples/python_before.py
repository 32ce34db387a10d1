import json
import os
from urllib.request import Request, urlopen

base_url, secret = os.environ["CLEAR_URL"], os.environ["CLIENT_SECRET"]

mint = Request(f"{base_url}/integration/v1/authz/token", headers={"x-clear-client-secret": secret})
with urlopen(mint) as minted:
    token = json.load(minted)["access_token"]

call = Request(
    f"{base_url}/einv/v2/eInvoice/generate",
    method="PUT",
    headers={
        "content-type": "application/json",
        "gstin": "29AAFCD5862R000",
        "x-cleartax-auth-token": token,
    },
    data=json.dumps([{"transaction": {"DocDtls": {"Typ": "INV", "No": "P/001", "Dt": "01/04/2026"}}}]).encode(),
)
with urlopen(call, timeout=60) as answer:
    print(answer.status, answer.read().decode())
