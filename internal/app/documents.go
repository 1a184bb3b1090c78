package app

import (
	"context"
	"log/slog"
	"sync"

	"yett/internal/admin"
	"yett/internal/apidocs"
	"yett/internal/config"
	"yett/internal/openapi"
	"yett/internal/openapi/source"
	"yett/internal/snapshot"
	"yett/internal/sweep"
	"yett/internal/upstream"
	"yett/internal/wire"
)

func newHub(o Options, log *slog.Logger) *apidocs.Hub {
	return apidocs.New(apidocs.Options{Own: admin.Operations, Components: sync.OnceValue(ownComponents), Log: log})
}

func ownComponents() *openapi.Document {
	return &openapi.Document{Version: openapi.Version31, Root: openapi.NewObject("components", admin.Components())}
}

// Documents is the gateway's OpenAPI document as a configuration has it, and what it was
// made of.
type Documents struct {
	Snapshot *snapshot.Snapshot
	Edition  *apidocs.Edition
	Sources  []source.State
}

// NewDocuments compiles a configuration, gets the documents of its services, and makes the
// gateway's. It serves nobody, and secrets of issuers need not be there. Until ctx ends it
// waits for documents that have to be fetched; one that is not there by then is missing,
// which Sources says.
func NewDocuments(ctx context.Context, o Options) (*Documents, error) {
	conf, err := load(o, new(config.Keyless))
	if err != nil {
		return nil, err
	}
	sweeper := sweep.New()
	defer sweeper.Close()
	snap, err := compile(conf, nil, o, upstream.Deps{Buffers: new(wire.Buffers), Sweeper: sweeper, Log: slog.New(slog.DiscardHandler)}, pages{}, nil, nil)
	if err != nil {
		return nil, err
	}
	defer snap.Retire(nil)
	for _, s := range snap.Services() {
		s.Start()
	}
	snap.Documents().Start()
	d := &Documents{Snapshot: snap}
	for _, s := range snap.Documents().All() {
		s.Wait(ctx)
		d.Sources = append(d.Sources, s.State())
	}
	hub := newHub(o, nil)
	hub.Use(snap)
	defer hub.Close()
	d.Edition = hub.Wait(context.WithoutCancel(ctx)) // which has ended where documents are missing
	return d, nil
}
