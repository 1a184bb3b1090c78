package config

import (
	"flag"
	"os"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the expected answers in testdata")

// TestBad holds every message word for word: they are what an operator has to
// work with.
func TestBad(t *testing.T) {
	const file = "testdata/bad.txtar"
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cases, env := 0, ""
	var input []byte
	for i, f := range archive.Files {
		name, part, _ := strings.Cut(f.Name, "/")
		switch part {
		case "yett.yaml":
			input, env = f.Data, ""
		case ".env":
			env = string(f.Data)
		case "want":
			cases++
			got := answerTo(t, input, env)
			if *update {
				archive.Files[i].Data = []byte(got)
			} else if want := string(f.Data); got != want {
				t.Errorf("%s:\ngot\n%swant\n%s", name, got, want)
			}
			checkPlaces(t, name, input, env)
		}
	}
	if cases < 40 {
		t.Errorf("%d cases, want at least 40", cases)
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// answerTo returns the problems of a configuration, one to a line.
func answerTo(t *testing.T, input []byte, env string) string {
	t.Helper()
	variables, problems := parseDotenv(".env", env)
	if len(problems) > 0 {
		t.Fatalf("the case's own variables: %v", problems)
	}
	_, err := Parse("yett.yaml", input, MapEnv(variables))
	if err == nil {
		t.Errorf("%q loads", input)
		return ""
	}
	return err.Error() + "\n"
}
