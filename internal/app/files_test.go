package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"yett/internal/control/watch"
	"yett/internal/snapshot"
)

// watching has files followed, soon after they have changed.
func watching(o *Options) { o.Watch = true }

// A renewed certificate is used without anybody's doing, together with what runs, not with what
// is being edited.
func TestWatchCertificates(t *testing.T) {
	dir := t.TempDir()
	first := certify(t, dir, "a.example")
	text := replace(withTLS, "RELOAD", "name: runs", "cert.pem", filepath.Join(dir, "cert.pem"), "key.pem", filepath.Join(dir, "key.pem"))
	p := launch(t, text, watching)
	if err := p.handshake(first); err != nil {
		t.Fatal(err)
	}
	before, _ := p.control.Current()
	p.write(replace(text, "name: runs", "name: edited"))
	second := certify(t, dir, "b.example")
	eventually(t, "the renewed certificate is shown", func() bool { return p.handshake(second) == nil })
	if after, refused := p.control.Current(); after != before || refused != nil || p.Config().Name != "runs" {
		t.Errorf("%+v runs instead of %+v, refused is %+v", after, before, refused)
	}
}

// Kubernetes changes all files of a ConfigMap by putting another symbolic link in its place.
func TestWatchConfigMap(t *testing.T) {
	dir := t.TempDir()
	version := func(name, text string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(dir, name, "yett.yaml"), text)
		link := filepath.Join(dir, "..data_tmp")
		if err := os.Symlink(name, link); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link, filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	text := plain + "reload: {watch: all}\n"
	version("..1", "name: one\n"+text)
	if err := os.Symlink("..data/yett.yaml", filepath.Join(dir, "yett.yaml")); err != nil {
		t.Fatal(err)
	}
	p := launch(t, plain, watching, func(o *Options) { o.File = filepath.Join(dir, "yett.yaml") })
	if p.Config().Name != "one" {
		t.Fatal(p.Config().Name)
	}
	version("..2", "name: two\n"+text)
	eventually(t, "the second version runs", func() bool { return p.Config().Name == "two" })
	eventually(t, "it is known why", func() bool { r, _ := p.control.Current(); return r.Cause == "watch" }) // a moment after it runs
	version("..3", "nonsense: 1\n"+text)
	eventually(t, "the third version is refused", func() bool { _, refused := p.control.Current(); return refused != nil })
	version("..4", "name: four\n"+text)
	eventually(t, "the fourth version runs", func() bool { return p.Config().Name == "four" })
	if n := strings.Count(p.log.String(), "was refused"); n != 1 {
		t.Errorf("it was refused %d times", n)
	}
}

// With watch: all, .env and the documents of services are followed too.
func TestWatchAll(t *testing.T) {
	dir := t.TempDir()
	const document = `{"openapi": "3.1.0", "info": {"title": "TITLE", "version": "1"}, "paths": {"/a": {"get": {"responses": {"200": {"description": "ok"}}}}}}`
	put(t, filepath.Join(dir, "app.json"), strings.Replace(document, "TITLE", "One", 1))
	put(t, filepath.Join(dir, "yett.yaml"), header+`
name: ${NAME:-nobody}
reload: {watch: all}
services: {app: {targets: ["http://127.0.0.1:1"], openapi: {file: app.json}}}
routes: [{name: app, path: /app, auth: none, service: app}]
`)
	p := launch(t, plain, watching, func(o *Options) { o.File = filepath.Join(dir, "yett.yaml") })
	put(t, filepath.Join(dir, ".env"), "NAME=somebody\n")
	eventually(t, "the variable counts", func() bool { return p.Config().Name == "somebody" })
	title := func() string {
		l := p.gateway.Snapshot().Documents().Of("app").Loaded()
		if l == nil {
			return ""
		}
		return l.Title
	}
	replaceFile(t, filepath.Join(dir, "app.json"), []byte(strings.Replace(document, "TITLE", "Two", 1)))
	eventually(t, "the new document counts", func() bool { return title() == "Two" })
}

// What is followed is what reload.watch says now.
func TestFollowed(t *testing.T) {
	p := launch(t, plain)
	certify(t, p.dir, "a.example")
	for watched, want := range map[string]int{"off": 0, "certificates": 2, "all": 4} {
		p.reload(replace(withTLS, "RELOAD", "reload: {watch: "+watched+"}"))
		files := p.followed(false)
		if len(files) != want {
			t.Errorf("%s: %v", watched, files)
		}
		if sum, ok := files[filepath.Join(p.dir, "cert.pem")]; ok && sum != snapshot.SumOf(filepath.Join(p.dir, "cert.pem")) {
			t.Errorf("%s: the sum is another", watched)
		}
	}
	if p.watcher != nil {
		t.Error("somebody follows files whom nobody has asked")
	}
	if watch.Settle > time.Second || watch.Poll > time.Minute {
		t.Error("that takes long")
	}
}
