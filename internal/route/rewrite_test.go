package route

import (
	"strings"
	"testing"
)

func TestRewrite(t *testing.T) {
	tests := []struct {
		name           string
		pattern        string
		strip, replace string
		unchanged      bool
		raw, want      string
	}{
		{"as matched", "/**", "", "", false, "/a//b/../c%2fd", "/a/c%2Fd"},
		{"as matched, reserved characters", "/**", "", "", false, "/%3bx%40", "/%3Bx%40"},
		{"unchanged", "/**", "", "", true, "/a//b/../c%2fd", "/a//b/../c%2fd"},
		{"asterisk", "*", "", "", false, "*", "*"},

		{"strip", "/api/**", "/api", "", false, "/api/v1//x/", "/v1/x/"},
		{"strip all", "/api/**", "/api", "", false, "/api", "/"},
		{"strip all and slash", "/api/**", "/api", "", false, "/api/", "/"},
		{"strip with slash", "/api/**", "/api/", "", false, "/api/x", "/x"},
		{"strip two segments", "/api/**", "/api/v1", "", false, "/api/v1/x", "/x"},
		{"strip whole segments only", "/**", "/api", "", false, "/apix/y", "/apix/y"},
		{"strip what is not there", "/**", "/api", "", false, "/x/api", "/x/api"},
		{"strip the normal form", "/é/**", "/%C3%a9", "", false, "/x/../é/%40", "/%40"},
		{"strip reserved characters", "/@a/**", "/%40a", "", false, "/%40a/%40b", "/%40b"},
		{"strip value", "/{v}/x", "/v1", "", false, "/v1/x", "/x"},

		{"replace", "/old", "", "/new", false, "/old", "/new"},
		{"replace asterisk", "*", "", "/new", false, "*", "/new"},
		{"value", "/u/{id}", "", "/v2/users/{id}/profile", false, "/u/42", "/v2/users/42/profile"},
		{"values in a segment", "/{a}/{b}", "", "/{b}-{a}.json", false, "/x/y", "/y-x.json"},
		{"value twice", "/{a}", "", "/{a}/{a}", false, "/x", "/x/x"},
		{"value is encoded again", "/{a}", "", "/v/{a}", false, "/%2f%3f%23%20%25%5C%0d%3b%22é@:", "/v/%2F%3F%23%20%25%5C%0D%3B%22%C3%A9@:"},
		{"rest", "/api/**", "", "/v2/{**}", false, "/api/a/%40b/", "/v2/a/%40b/"},
		{"rest is empty", "/api/**", "", "/v2/{**}", false, "/api", "/v2/"},
		{"rest alone", "/{t}/**", "", "/{**}", false, "/acme/a/b", "/a/b"},
		{"rest and value", "/{t}/**", "", "/tenants/{t}/{**}", false, "/a%20b/c/d", "/tenants/a%20b/c/d"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table, problems := Compile(rules(Rule{Paths: []string{tt.pattern}, AllowSlash: true}))
			r, more := CompileRewrite(tt.strip, tt.replace, tt.unchanged, []string{tt.pattern})
			if problems = append(problems, more...); problems != nil {
				t.Fatal(problems)
			}
			x := request("GET h" + tt.raw)
			if reason := Normalize(x); reason != nil {
				t.Fatal(reason)
			}
			if res := table.Match(x); res.Reason != nil {
				t.Fatal(res.Reason)
			}
			if got := string(r.Append([]byte("GET "), x)); got != "GET "+tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRewriteProblems(t *testing.T) {
	tests := []struct {
		name           string
		strip, replace string
		unchanged      bool
		patterns       []string
		want           []string
	}{
		{"strip and unchanged", "/a", "", true, []string{"/a"}, []string{"forward.strip_prefix: the path is forwarded unchanged"}},
		{"replace and unchanged", "", "/b", true, []string{"/a"}, []string{"forward.replace: the path is forwarded unchanged"}},
		{"strip and replace", "/a", "/b", false, []string{"/a"}, []string{"forward.replace: replace and strip_prefix exclude each other"}},

		{"strip nothing", "/", "", false, []string{"/a"}, []string{"forward.strip_prefix: the prefix / has no segment"}},
		{"strip relative", "a", "", false, []string{"/a"}, []string{`forward.strip_prefix: path "a" does not start with /`}},
		{"strip doubled slash", "/a//", "", false, []string{"/a"}, []string{`forward.strip_prefix: path "/a//": a slash is doubled`}},
		{"strip value", "/{a}", "", false, []string{"/{a}"}, []string{`forward.strip_prefix: the prefix "/{a}" has wildcards`}},
		{"strip rest", "/a/**", "", false, []string{"/a/**"}, []string{`forward.strip_prefix: the prefix "/a/**" has wildcards`}},
		{"strip asterisk", "*", "", false, []string{"*"}, []string{`forward.strip_prefix: the prefix "*" has wildcards`}},
		{"strip what never comes", "/api", "", false, []string{"/ap", "/apis/**", "/{v"}, []string{`forward.strip_prefix: no path of the route starts with "/api"`}},
		{"strip more than comes", "/api/v1", "", false, []string{"/api", "/api/", "*"}, []string{`forward.strip_prefix: no path of the route starts with "/api/v1"`}},
		{"strip from one of several", "/api", "", false, []string{"/x", "/api/{v}"}, nil},
		{"strip below rest", "/api/v1", "", false, []string{"/api/**"}, nil},

		{"replace relative", "", "b", false, []string{"/a"}, []string{`forward.replace: "b" is no normal path, it starts with /`}},
		{"replace query", "", "/b?c={id}", false, []string{"/{id}"}, []string{`forward.replace: "/b?c={id}" is no normal path`}},
		{"replace dots", "", "/b/../c", false, []string{"/a"}, []string{`forward.replace: "/b/../c" is no normal path`}},
		{"replace Unicode", "", "/é", false, []string{"/a"}, []string{`forward.replace: "/é" is no normal path`}},
		{"open brace", "", "/{id", false, []string{"/{id}"}, []string{`forward.replace: "/{id" has a { without a }`}},
		{"closing brace", "", "/id}", false, []string{"/{id}"}, []string{`forward.replace: "/id}" is no normal path`}},
		{"empty name", "", "/{}", false, []string{"/{id}"}, []string{`forward.replace: "" is no name of a value`}},
		{"unknown name", "", "/{usr_id}", false, []string{"/{user_id}/{b}"}, []string{`forward.replace: path "/{user_id}/{b}" has no value {usr_id}, did you mean "user_id"?`}},
		{"name of one path only", "", "/{id}", false, []string{"/{id}", "/b"}, []string{`forward.replace: path "/b" has no value {id}, that path has no values`}},
		{"colon", "", "/v2/:id/x", false, []string{"/{id}"}, []string{`forward.replace: ":id" begins with a colon, write {id}; a literal colon at the front is %3A`}},
		{"no rest", "", "/{**}", false, []string{"/{id}"}, []string{`forward.replace: path "/{id}" has no value {**}`}},
		{"rest not last", "", "/{**}/b", false, []string{"/a/**"}, []string{"forward.replace: {**} is not the last segment"}},
		{"rest no segment", "", "/b{**}", false, []string{"/a/**"}, []string{"forward.replace: {**} is not the last segment"}},
		{"several", "/", "b{x}", true, []string{"/a"}, []string{"forward.strip_prefix: the path", "forward.strip_prefix: the prefix",
			"forward.replace: the path", `forward.replace: path "/a" has no value {x}`, `forward.replace: "b{x}" is no`, "forward.replace: replace and"}},
		{"broken paths are not for us to report", "/a", "", false, []string{"/{"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, problems := CompileRewrite(tt.strip, tt.replace, tt.unchanged, tt.patterns)
			if (r == nil) != (len(problems) > 0) {
				t.Error("a rewrite with problems, or none without")
			}
			if len(problems) != len(tt.want) {
				t.Fatalf("got %v", problems)
			}
			for i, p := range problems {
				if !strings.HasPrefix(p.String(), tt.want[i]) || p.Hint == "" {
					t.Errorf("got  %s\nwant %s", p, tt.want[i])
				}
			}
		})
	}
}

// FuzzRewrite holds that what a client puts into a value stays in its segment.
func FuzzRewrite(f *testing.F) {
	f.Add("a")
	f.Add("a%2F..b")
	f.Add("%3B%5C.%00%23")
	pattern := []string{"/x/{v}/y"}
	table, problems := Compile(rules(Rule{Paths: pattern, AllowSlash: true, AllowNUL: true}))
	rewrite, more := CompileRewrite("", "/before/{v}/after", false, pattern)
	if problems = append(problems, more...); problems != nil {
		f.Fatal(problems)
	}
	f.Fuzz(func(t *testing.T, value string) {
		x := request("GET h/x/v/y")
		x.RawPath = "/x/" + value + "/y"
		if Normalize(x) != nil || table.Match(x).Reason != nil {
			return
		}
		sent := string(rewrite.Append(nil, x))
		if !strings.HasPrefix(sent, "/before/") || !strings.HasSuffix(sent, "/after") || strings.Count(sent, "/") != 3 {
			t.Fatalf("%q became %q", value, sent)
		}
		again := request("GET h" + "/")
		again.RawPath = sent
		if r := Normalize(again); r != nil || again.Path != sent {
			t.Fatalf("%q became %q, which is not normal", value, sent)
		}
	})
}
