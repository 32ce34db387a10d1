/** Self-signed for localhost and 127.0.0.1, valid until 2126. Made for these tests, used for nothing else. */
export const testTls = {
  cert: `-----BEGIN CERTIFICATE-----
MIIBnDCCAUGgAwIBAgIURL8VbTYhAbGWYjyykJKuf5hwchswCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjIzMjcyMVoYDzIxMjYxMDI5
MjMyNzIxWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQePqkbL2F4ex145uzLMZ4gfnUmCICmPU+L2EZbq9tgAlrUZ/dyXEpn
e5o+Npaj8Udjsh3nPErlqhwt/pcXLE7To28wbTAdBgNVHQ4EFgQUgUejklw2H6Th
Yuu75XPkSbNarbwwHwYDVR0jBBgwFoAUgUejklw2H6ThYuu75XPkSbNarbwwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSQAwRgIhAISnhlFnvheVWR08qvCfNAytFwaEfwIOedD2ejEsyRdGAiEA
6Cyv4qlHw3kWS1YssDWSMsKOrRYB+tlDknlMhZORPhs=
-----END CERTIFICATE-----
`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg4Ab1M6JzmXVM6Yjz
XkTDxpM5I0DdPdhMdlPMytT0d2mhRANCAAQePqkbL2F4ex145uzLMZ4gfnUmCICm
PU+L2EZbq9tgAlrUZ/dyXEpne5o+Npaj8Udjsh3nPErlqhwt/pcXLE7T
-----END PRIVATE KEY-----
`,
}
