package config
import ("testing";"strings";"time";"fmt";"runtime")
func TestScratch(t *testing.T) {
 n := 330000
 rep := func(s string) string { return strings.Repeat(s, n/len(s)) }
 lines := func(f func(i int) string) string { var b strings.Builder; for i := 0; b.Len() < n; i++ { b.WriteString(f(i)) }; return b.String()[:n] }
 for name, in := range map[string]string{
  "plain": "a: "+rep("x"), "dq": "a: \""+rep("x")+"\"", "lines": rep("a: b\n"), "seq": rep("- a\n"), "flow": "["+rep("a,")+"]", "flowmap": "{"+rep("a: b,")+"}",
  "opens": rep("["), "dashes": rep("- "), "literal": "a: |\n"+rep("  x\n"), "literalblank": "a: |\n"+rep("  x\n"+strings.Repeat("\n",99)), "literalblank2": rep("a: |\n"+strings.Repeat("\n",99)), "literalblank3": "a: |\n"+rep("\n \n"), "foldedblank": "a: >\n"+rep("  x\n"+strings.Repeat("\n",99)),
  "literalkeep": "a: |+\n"+rep("  x\n"+strings.Repeat("\n",99)), "literalstrip": "a: |-\n"+rep("  x\n"+strings.Repeat("\n",99)), "bigliteral": "a: |\n  "+strings.Repeat("x", n/2)+"\n"+strings.Repeat("\n"+strings.Repeat("\n",98)+"  x\n", n/2/103), 
  "plainmulti": "a: "+rep("x\n  "), "plainblank": "a: "+rep("x\n\n  "), "dqmulti": "a: \""+rep("x\n  ")+"\"", "dqspaces": "a: \""+rep(" \n"), "sqspaces": "a: '"+rep(" \n"),
  "spaces": rep(" "), "comments": rep("#a\n"), "comment2": rep("a: b #c\n"), "q": rep("? "), "anch": rep("&a\n"), "anchc": rep("&a #\n"), "tags": rep("!a\n"), "alias": rep("*a "), "docs": rep("---\n"), "ends": rep("...\n"), "dir": rep("%a b\n"), "pipes": rep("|\n"), "lts": "a: "+rep("<"), "lts2": rep("< "), "lts3": rep("<<:"), "lts4": rep("a<<"), "merge": rep("<<: a\n"),
  "keyq": rep("'a': 'b'\n"), "flownull": "{"+rep("a,")+"}", "seqnull": rep("-\n"), "mapnull": rep("a:\n"), "flowcolon": "{"+rep("a:,")+"}", "flowcolon2": "["+rep("a:,")+"]", "flowseqkeys": "[\n"+rep("a: b\n")+"]", "bigkey": "k"+strings.Repeat("x", n/2)+":\n"+strings.Repeat("  - a\n", n/12),
  "keys4000": lines(func(i int) string { if i%4000==0 { return fmt.Sprintf("- k%d: b\n", i%4000) }; return fmt.Sprintf("  k%d: b\n", i%4000) }),
  "nested": lines(func(i int) string { return strings.Repeat(" ", i%60)+"a:\n" }),
  "longkeys": lines(func(i int) string { return strings.Repeat(" ", i%60)+strings.Repeat("k", 100)+":\n" }),
  "deepcols": lines(func(i int) string { return strings.Repeat(" ", i)+"a:\n" }),
  "quotes": rep("'' "), "unclosed": rep("\"a\n"), "colons": rep(": "), "colons2": rep(":"), "vars": "a: \""+rep("${A}")+"\"", "vars2": "["+rep("\"${A}\",")+"]", "routes": "routes:\n"+rep("- name: a\n  path: /\n  auth: none\n"), "unknown": "routes:\n"+rep("- x: 1\n"), "ampflow": "["+rep("&a b,")+"]", "rawfold": "a: b\n"+rep(" - c\n"), "rawfold2": "a: b\n"+rep(" -\n\n\n"), "nl-in-flow": "["+rep("\n\n\n,")+"]", "braces": rep("{}"), "esc": "a: \""+rep("\\u0041")+"\"", "pct": rep("%"), "quest": rep("?a"), "ats": rep("@"), "bang": rep("!"), "amp": rep("&"), "star": rep("*"), "star2": "["+rep("*,")+"]", "sp-nl": rep(" \n a\n"),
 } {
  big := strings.Repeat("s", 100000)
  var m0, m1 runtime.MemStats
  runtime.ReadMemStats(&m0)
  fmt.Println(name); begin := time.Now()
  _, err := Parse("f", []byte(in), MapEnv(map[string]string{"A": big}))
  runtime.ReadMemStats(&m1)
  s := ""; if err != nil { s = err.Error(); if len(s) > 70 { s = s[:70] } }
  d := time.Since(begin)
  if d > 200*time.Millisecond || (m1.TotalAlloc-m0.TotalAlloc)>>20 > 300 { fmt.Printf("%-14s %8v %6dMB %q\n", name, d.Round(time.Millisecond), (m1.TotalAlloc-m0.TotalAlloc)>>20, s) }
 }
}
