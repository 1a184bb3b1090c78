package requestid

import (
	"regexp"
	"testing"

	"yett/internal/policy"
	"yett/internal/policy/policytest"
)

func TestDescribe(t *testing.T) {
	d := policy.Chain{{Policy: policytest.Build(t, Kind, "header: X-Trace")}}.Describe()
	if len(d.RequestHeaders) != 0 || len(d.ResponseHeaders) != 1 || d.ResponseHeaders[0].Name != "X-Trace" {
		t.Fatalf("%+v", d)
	}
	said := regexp.MustCompile(d.ResponseHeaders[0].Schema.Str("pattern"))
	for _, id := range []string{"1234567", "12345678", "Abc-123_4.5", "1234 5678", "12345678\n", string(make([]byte, 9))} {
		if said.MatchString(id) != wellFormed(id) {
			t.Errorf("%q: the document says %v", id, said.MatchString(id))
		}
	}
	d = policy.Chain{{Policy: policytest.Build(t, Kind, "trust_inbound: false")}}.Describe()
	if len(d.RequestHeaders) != 0 || d.ResponseHeaders[0].Schema.Str("format") != "uuid" {
		t.Errorf("not trusted: %+v", d)
	}
}
