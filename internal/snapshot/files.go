package snapshot

import (
	"crypto/sha256"
	"io"

	"yett/internal/config"
)

// Sum is that of what a file contains, zero for one that can't be read.
type Sum = [sha256.Size]byte

// mostHashed is how much of a file counts: keys and certificates are small, and whoever names
// something else is told so when it is read.
const mostHashed = 16 << 20

// SumOf returns the sum of a file.
func SumOf(path string) Sum {
	f, err := config.OpenRegular(path)
	if err != nil {
		return Sum{}
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, io.LimitReader(f, mostHashed)); err != nil {
		return Sum{}
	}
	return Sum(h.Sum(nil))
}

// Files returns the files of keys and certificates that listeners, services, issuers and the
// assertion name, by their paths, with the sums that they had just before they were read. The
// map belongs to the snapshot.
func (s *Snapshot) Files() map[string]Sum { return s.files }

// follow notes files before they are read. It tells whether the previous snapshot was made of
// the same: then what was made of them can be taken over.
func (b *builder) follow(files ...string) (same bool) {
	same = b.previous != nil
	for _, f := range files {
		if f == "" {
			continue
		}
		path := b.c.Source.Resolve(f)
		sum, known := b.out.files[path]
		if !known {
			sum = SumOf(path)
			b.out.files[path] = sum
		}
		if same {
			before, had := b.previous.files[path]
			same = had && before == sum && sum != Sum{}
		}
	}
	return same
}

// filesOf returns the files with keys of issuers.
func filesOf(issuers config.Mapping[config.Issuer]) (files []string) {
	for _, e := range issuers {
		for _, k := range e.Value.Keys {
			files = append(files, k.PEM, k.JWKSFile, k.CA)
		}
	}
	return files
}
