package contract

import (
	"strconv"
	"testing"
)

// An enum of many choices takes what one of few does, however values are written.
func TestManyChoices(t *testing.T) {
	few := `1,-2.50,"a","ä",null,{"a":[1,{"b":2}],"c":"d"},[1,2],1e30,{}`
	many := few
	for i := range 50 {
		many += `,` + strconv.Itoa(1000+i) + `,"t` + strconv.Itoa(i) + `",[` + strconv.Itoa(100+i) + `]`
	}
	small, large := schemaCheck(t, `{"enum":[`+few+`]}`, "true", inRequest), schemaCheck(t, `{"enum":[`+many+`]}`, "true", inRequest)
	for _, body := range []string{
		"1", "1.0", "10e-1", "-2.5", "-25e-1", "2.5", "0", "-0", `"a"`, `"\u0061"`, `"\u00e4"`, `"b"`, "null", "true", "false", "1" + "000000000000000000000000000000", "1e30", "1E+30", "1e31",
		`{"c":"\u0064","a":[1.0,{"b":20e-1}]}`, `{"a":[1,{"b":2}],"c":"d","e":1}`, `{"a":[1,{"b":2}]}`, `{"a":["1",{"b":2}],"c":"d"}`, "[1,2]", "[1.0,2]", "[2,1]", "[12]", "[[1,2]]", "[]", "{}", `{"":null}`,
	} {
		want, got := "", ""
		var f findings
		if small.text(body, &f); len(f.list) > 0 {
			want = "wrong"
		}
		f = findings{}
		if large.text(body, &f); len(f.list) > 0 {
			got = "wrong"
		}
		if got != want {
			t.Errorf("%s is %q by many choices, %q by few", body, got, want)
		}
		if broken(large) || broken(small) {
			t.Fatal("the library does not compile it")
		}
	}
}
