// Package browser drives a headless Chromium in tests, over the pipe of the DevTools
// protocol: no port, no driver, nothing to install beside the browser. Its names are
// looked up nowhere but on this machine.
//
//	page := browser.Start(t).Open()
//	page.Goto(server.URL)
//	page.Click("button", "Send")
//	page.WaitFor(`document.title === "done"`)
//
// A Page ends the test when something does not come within Patience, and says what it has
// waited for. A test whose machine has no Chromium is skipped.
package browser
