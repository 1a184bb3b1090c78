package ui

import "yett/internal/exchange"

// File is content that is given out many times, in gzip to those who take it, and not
// again to those who have it.
type File struct {
	content []byte
	asset   *asset
}

// NewFile makes a File of content, which must not be changed afterwards.
func NewFile(content []byte, contentType string) *File {
	return &File{content, newAsset(content, false, contentType)}
}

// Content returns the content. It must not be changed.
func (f *File) Content() []byte { return f.content }

// Serve answers with the file. It refuses what would write.
func (f *File) Serve(x *exchange.Exchange) {
	if readable(x) {
		f.asset.serve(x)
	}
}
