package exchange

import "testing"

func TestSecretName(t *testing.T) {
	for _, name := range []string{
		"key", "code", "sig", "auth", "jwt", "pwd", "sid", "pin",
		"X-API-Key", "x-api_key", "apikey", "X-Auth-Token", "Authorization", "Proxy-Authorization", "client_secret", "password", "passwd",
		"Ocp-Apim-Subscription-Key", "x-functions-key", "x-auth", "X-Auth-Key", "x-jwt", "X-JWT", "x-client-key", "x-hub-key", "X-Pin", "x_pin",
		"shareKey", "jwtValue", "inviteToken", "X-Session-Id", "x.key", "key2", "X-Hub-Signature-256", "SAMLAssertion", "X-Amz-Credential",
	} {
		if !SecretName(name) {
			t.Errorf("%s is taken for no secret", name)
		}
	}
	for _, name := range []string{
		"", "-", "_", "id", "X-Shop", "keyboard", "monkey", "author", "authority", "spin", "pinned", "country-code", "zip_code", "Access-Control-Allow-Credentials",
		"access-control-request-key", "Accept", "side", "KEYS", "X-Tenant", "design", "pages",
	} {
		if SecretName(name) {
			t.Errorf("%s is taken for a secret", name)
		}
	}
}
