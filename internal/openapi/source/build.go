package source

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"yett/internal/openapi"
	"yett/internal/openapi/contract"
)

// read makes a document of bytes, which it does not keep. A fault in the gateway is a
// failure of the document in which it was, so that it is not met again and again.
func (s *Source) read(data []byte) (l *Loaded, f *failure) {
	defer func() {
		if fault := recover(); fault != nil {
			l, f = nil, &failure{text: "a fault in the gateway ended reading it"}
			if log := s.deps.Load().Log; log != nil {
				log.Error("a fault in the gateway ended reading an OpenAPI document", "service", s.service, "from", s.from, "fault", fault, "stack", string(debug.Stack()))
			}
		}
	}()
	if what := markup(data); what != "" {
		text := "it is " + what + ", and no OpenAPI document"
		if s.kind != KindFile {
			text += "; is that the address of a page, or does one have to log in?"
		}
		return nil, &failure{text: text}
	}
	most := openapi.DefaultLimits()
	most.Bytes = int64(s.conf.MaxSize)
	d, err := openapi.Parse(s.name, data, most)
	if err != nil {
		return nil, failed(err)
	}
	l = &Loaded{Document: d, Written: d.Version, At: time.Now(), Size: len(data)}
	d.Upgrade()
	l.Contract, l.Notes = contract.Compile(d)
	l.Title, l.Operations = d.Root.Get("info").Str("title"), len(d.Operations())
	return l, nil
}

// failed is an error of Parse as a failure.
func failed(err error) *failure {
	f := &failure{text: line(err.Error())}
	if errors.As(err, &f.problems) && len(f.problems) > 0 {
		f.text = line(f.problems[0].String())
		if more := len(f.problems) - 1; more > 0 {
			f.text += fmt.Sprintf(" (and %d more)", more)
		}
	}
	return f
}
