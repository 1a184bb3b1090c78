package upstream

import (
	"log/slog"
	"runtime/debug"
)

// reportFault logs a fault in the gateway that has ended something which runs beside requests:
// it would have ended the process. It has to be called where it was recovered, so that the
// stack shows the place.
func reportFault(log *slog.Logger, service, what string, fault any) {
	log.Error("a fault in the gateway ended "+what, "service", service, "fault", fault, "stack", string(debug.Stack()))
}

// report is reportFault for a service, which may have no log.
func (s *Service) report(what string, fault any) {
	if s.deps.Log != nil {
		reportFault(s.deps.Log, s.name, what, fault)
	}
}
