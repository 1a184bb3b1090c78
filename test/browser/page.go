//go:build linux

package browser

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// ScreenshotDir is the variable with the folder where screenshots are kept. Without it they
// are artifacts of the test, which `go test -artifacts` keeps.
const ScreenshotDir = "YETT_SCREENSHOTS"

// Goto opens an address and waits until the page and what it names are loaded.
func (p *Page) Goto(url string) {
	p.tb.Helper()
	var answer struct{ ErrorText string }
	p.must("opening "+url, p.wire.call(p.session, "Page.navigate", object{"url": url}, &answer))
	if answer.ErrorText != "" {
		p.tb.Fatalf("opening %s: %s", url, answer.ErrorText)
	}
	p.WaitFor(`document.readyState === "complete" && location.href !== "about:blank"`)
}

// Eval runs an expression of JavaScript in the page, waits for it where it is a promise,
// and fills into with its value; nil for no interest.
func (p *Page) Eval(expression string, into any) {
	p.tb.Helper()
	p.must(expression, p.eval(expression, into))
}

func (p *Page) eval(expression string, into any) error {
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	params := object{"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true}
	if err := p.wire.call(p.session, "Runtime.evaluate", params, &answer); err != nil {
		return err
	}
	if e := answer.ExceptionDetails; e != nil {
		return fmt.Errorf("%s %s", e.Text, e.Exception.Description)
	}
	if into == nil || answer.Result.Value == nil {
		return nil
	}
	return json.Unmarshal(answer.Result.Value, into)
}

// WaitFor waits until an expression is true in the page.
func (p *Page) WaitFor(expression string) {
	p.tb.Helper()
	p.wait("", expression)
}

// look waits in the page itself for a little while, looking again with each frame that is
// drawn, and less often where nothing is.
const look = `(async () => {
  const end = Date.now() + 1000;
  for (;;) {
    const found = await (async () => { try { return %s; } catch { return null; } })();
    if (found) return found;
    if (Date.now() > end) return null;
    await new Promise(next => { const timer = setTimeout(next, 50); requestAnimationFrame(() => { clearTimeout(timer); next(); }); });
  }
})()`

// wait waits until an expression has a value that is not false, and returns it as JSON.
func (p *Page) wait(what, expression string) json.RawMessage {
	p.tb.Helper()
	if what == "" {
		what = expression
	}
	var err error
	for end := time.Now().Add(Patience); time.Now().Before(end); {
		var found json.RawMessage
		// An error may be that of a page which has just been left.
		if err = p.eval(fmt.Sprintf(look, expression), &found); err == nil && len(found) > 0 && string(found) != "null" {
			return found
		}
	}
	var text string
	_ = p.eval("document.body.innerText", &text)
	p.Screenshot("in-vain")
	p.tb.Fatalf("waited in vain for %s (%v); errors: %q; the page shows\n%s", what, err, p.ConsoleErrors(), text)
	return nil
}

// find is an expression for the first element that a person would see, by its selector and,
// unless it is empty, its whole text, label or value.
func find(selector, text string) string {
	return fmt.Sprintf(`[...document.querySelectorAll(%s)].find(e => {
		const text = %s, box = e.getBoundingClientRect();
		return box.width && box.height && !e.disabled &&
			(!text || [e.innerText, e.getAttribute("aria-label"), e.value].some(s => s && s.trim() === text));
	})`, quote(selector), quote(text))
}

// Click waits for an element, scrolls to it and clicks into its middle as a person does:
// what lies above it gets the click. text is its whole text, "" for any.
func (p *Page) Click(selector string, text ...string) {
	p.tb.Helper()
	want := ""
	if len(text) > 0 {
		want = text[0]
	}
	expression := fmt.Sprintf(`await (async () => {
		const e = %s;
		if (!e) return null;
		e.scrollIntoView({block: "center", behavior: "instant"});
		const before = e.getBoundingClientRect();
		await new Promise(next => setTimeout(next, 50)); // while it moves, it would be missed
		const box = e.getBoundingClientRect();
		if (box.x !== before.x || box.y !== before.y) return null;
		const at = {x: box.x + box.width / 2, y: box.y + box.height / 2};
		const above = document.elementFromPoint(at.x, at.y);
		return above && (e.contains(above) || above.contains(e)) ? at : null;
	})()`, find(selector, want))
	var at struct{ X, Y float64 }
	p.must(selector, json.Unmarshal(p.wait(fmt.Sprintf("%s %q to click", selector, want), expression), &at))
	for _, what := range []string{"mouseMoved", "mousePressed", "mouseReleased"} {
		p.must("clicking", p.wire.call(p.session, "Input.dispatchMouseEvent",
			object{"type": what, "x": at.X, "y": at.Y, "button": "left", "clickCount": 1}, nil))
	}
}

// Fill clicks into a field and puts text in place of what is there.
func (p *Page) Fill(selector, text string) {
	p.tb.Helper()
	p.Click(selector)
	p.WaitFor(fmt.Sprintf(`(() => { const e = %s; if (e !== document.activeElement) return false; e.select(); return true; })()`, find(selector, "")))
	p.must("typing", p.wire.call(p.session, "Input.insertText", object{"text": text}, nil))
}

// Press presses and releases a key by its name, such as Tab or Enter.
func (p *Page) Press(key string) {
	p.tb.Helper()
	codes := map[string]int{"Tab": 9, "Enter": 13, "Escape": 27, " ": 32}
	down := object{"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
	if key == "Enter" {
		down["text"] = "\r"
	}
	p.must("pressing", p.wire.call(p.session, "Input.dispatchKeyEvent", down, nil))
	p.must("pressing", p.wire.call(p.session, "Input.dispatchKeyEvent", object{"type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": codes[key]}, nil))
}

// Text returns what the first visible element of a selector shows, and waits for it.
func (p *Page) Text(selector string) string {
	p.tb.Helper()
	p.WaitFor(find(selector, "") + " !== undefined")
	var text string
	p.Eval(find(selector, "")+".innerText", &text)
	return text
}

// Prefer sets what the user prefers: colours dark or light, and how wide and high the
// window is in pixels.
func (p *Page) Prefer(colours string, width, height int) {
	p.tb.Helper()
	p.must("colours", p.wire.call(p.session, "Emulation.setEmulatedMedia",
		object{"features": []object{{"name": "prefers-color-scheme", "value": colours}}}, nil))
	p.must("size", p.wire.call(p.session, "Emulation.setDeviceMetricsOverride",
		object{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}, nil))
}

// WithoutStorage makes the pages that are opened from now on as in a browser which
// refuses them localStorage and sessionStorage.
func (p *Page) WithoutStorage() {
	p.tb.Helper()
	const source = `for (const name of ["localStorage", "sessionStorage"])
		Object.defineProperty(window, name, {get() { throw new DOMException("refused", "SecurityError"); }});`
	p.must("storage", p.wire.call(p.session, "Page.addScriptToEvaluateOnNewDocument", object{"source": source}, nil))
}

// Screenshot keeps what the window shows as a PNG and returns its path.
func (p *Page) Screenshot(name string) string {
	p.tb.Helper()
	var shot struct{ Data string }
	p.must("the screenshot", p.wire.call(p.session, "Page.captureScreenshot", object{"format": "png"}, &shot))
	picture, err := base64.StdEncoding.DecodeString(shot.Data)
	p.must("the screenshot", err)
	dir := os.Getenv(ScreenshotDir)
	if dir == "" {
		dir = p.tb.ArtifactDir()
	}
	p.must("the screenshot", os.MkdirAll(dir, 0o755))
	path := filepath.Join(dir, name+".png")
	p.must("the screenshot", os.WriteFile(path, picture, 0o644))
	return path
}

func (p *Page) must(what string, err error) {
	p.tb.Helper()
	if err != nil {
		p.tb.Fatalf("%s: %v", what, err)
	}
}

// quote makes a text one of JavaScript.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return strconv.Quote(s)
	}
	return string(b)
}
