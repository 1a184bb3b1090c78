package control

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

// The newest texts are kept in memory where there is no directory, and found by the beginning of
// their IDs.
func TestPast(t *testing.T) {
	p := past{log: slog.New(slog.DiscardHandler)}
	if _, _, err := p.find("-", ""); err == nil || !strings.Contains(err.Error(), "reload.keep") {
		t.Error(err)
	}
	if _, _, err := p.find("a", ""); err == nil || !strings.Contains(err.Error(), "none is kept") {
		t.Error(err)
	}
	begin := time.Now()
	for i, id := range []string{"aa11", "ab22", "cc33", "ab22"} {
		p.add(Revision{ID: id, Since: begin.Add(time.Duration(i) * time.Second), Cause: "reload"}, []byte(id), 3)
	}
	for want, ask := range map[string][2]string{"cc33": {"-", "ab22"}, "ab22": {"ab", "ab22"}, "aa11": {"aa11", "ab22"}} {
		if e, text, err := p.find(ask[0], ask[1]); err != nil || e.ID != want || string(text) != want {
			t.Errorf("%v: %v %+v %s", ask, err, e, text)
		}
	}
	if _, _, err := p.find("a", "ab22"); err == nil || !strings.Contains(err.Error(), "ab22 and aa11; write more") {
		t.Error(err)
	}
	if _, _, err := p.find("x", "ab22"); err == nil || !strings.Contains(err.Error(), "ab22, cc33 and aa11") {
		t.Error(err)
	}
	p.add(Revision{ID: "dd44", Since: begin.Add(time.Minute)}, []byte("d"), 2)
	all, err := p.list("dd44")
	if err != nil || len(all) != 2 || all[0].ID != "dd44" || !all[0].Current || all[1].ID != "ab22" || all[1].Current {
		t.Errorf("%v %+v", err, all)
	}
	p.add(Revision{ID: "ee55", Since: begin.Add(time.Hour)}, []byte("e"), 0)
	if all, _ := p.list("ee55"); len(all) != 1 {
		t.Errorf("%+v", all)
	}
}
