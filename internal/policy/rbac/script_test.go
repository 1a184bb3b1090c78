package rbac

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

var update = flag.Bool("update", false, "write the tokens into the scripts")

const secretOfScripts = "0123456789abcdef0123456789abcdef"

// claims of the callers of the scripts in testdata. Their subject is their
// name, and their tokens are good until 2100.
func claims() map[string]map[string]any {
	role := func(role any) map[string]any { return map[string]any{"role": role, "tenantId": "t1"} }
	return map[string]map[string]any{
		"system_admin": role("system_admin"), "tenant_admin": role("tenant_admin"), "account_manager": role("account_manager"),
		"lead": role("lead"), "technician": role("technician"), "trainee": role("trainee"), "developer": role("developer"),
		"stranger": role("stranger"), "stranger-and-lead": role([]string{"stranger", "lead"}),
		"nobody": {}, "auth0|7": role("technician"),
		"writer":   {"permissions": map[string]bool{"tickets.read": true, "tickets.write": true, "tickets.delete": false}, "scope": "tickets"},
		"reader":   {"permissions": []string{"tickets.read"}, "scope": "import"},
		"reporter": {"scope": "tickets reports"},
	}
}

func mint(t *testing.T, name string, claims map[string]any) []byte {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(secretOfScripts)}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	claims["sub"], claims["email"] = name, "someone@example.org"
	claims["iat"], claims["exp"] = 1_700_000_000, 4_102_444_800
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return []byte(token)
}

// The tokens of the scripts are those of the callers whom X-Who names. With
// "go test -run Tokens -update" they are written anew.
func TestTokens(t *testing.T) {
	tokens := make(map[string][]byte)
	for name, c := range claims() {
		tokens[name] = mint(t, name, c)
	}
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	used := make(map[string]bool)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		right := regexp.MustCompile(`X-Who: (\S+)\nAuthorization: Bearer .*`).ReplaceAllFunc(text, func(match []byte) []byte {
			who, _, _ := bytes.Cut(bytes.TrimPrefix(match, []byte("X-Who: ")), []byte("\n"))
			if tokens[string(who)] == nil {
				t.Errorf("%s: nobody is called %s", file, who)
			}
			used[string(who)] = true
			return []byte("X-Who: " + string(who) + "\nAuthorization: Bearer " + string(tokens[string(who)]))
		})
		if bytes.Equal(right, text) {
			continue
		}
		if !*update {
			t.Errorf("%s has other tokens than its callers; write them with -update", file)
		} else if err := os.WriteFile(file, right, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name := range tokens {
		if !used[name] {
			t.Errorf("no script uses %s", name)
		}
	}
}
