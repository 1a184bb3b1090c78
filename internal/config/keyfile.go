package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// mostKeyFile bounds files with keys and certificates, in bytes. Sets of certificate authorities
// have some hundred thousand.
const mostKeyFile = 16 << 20

// OpenRegular opens an ordinary file. Others are refused, as a named pipe would keep whoever
// opens or reads it waiting without end.
func OpenRegular(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // for the open itself
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "read", Path: path, Err: notRegular(info.Mode())}
	}
	if err != nil {
		_ = f.Close() // it was only looked at
		return nil, err
	}
	return f, nil
}

func notRegular(m fs.FileMode) error {
	switch {
	case m.IsDir():
		return syscall.EISDIR
	case m&fs.ModeNamedPipe != 0:
		return errors.New("it is a pipe, and has to be an ordinary file")
	}
	return errors.New("it is no ordinary file")
}

// ReadKeyFile reads a file of keys or certificates.
func ReadKeyFile(path string) ([]byte, error) {
	f, err := OpenRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, mostKeyFile+1))
	if err == nil && len(text) > mostKeyFile {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it has more than %d MB, and can't be a file of keys", mostKeyFile>>20)}
	}
	return text, err
}

// Load reads the certificate with its key. resolve makes paths of what is written.
func (p Certificate) Load(resolve func(string) string) (tls.Certificate, error) {
	cert, err := ReadKeyFile(resolve(p.Cert))
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := ReadKeyFile(resolve(p.Key))
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}
