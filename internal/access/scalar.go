package access

import (
	"errors"
	"net/netip"
	"time"

	"yett/internal/config"
)

// Span is a length of time that may be negative, written as 15m or -1m.
type Span time.Duration

// Shape implements config.Shaped.
func (s *Span) Shape() config.Shape {
	return config.Shape{Name: "span", Want: "a length of time such as 15m, or -1m for what is over"}
}

// UnmarshalText reads Go's notation.
func (s *Span) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if err != nil {
		return errors.New("write a number and a unit: s, m or h")
	}
	*s = Span(d)
	return nil
}

// Address is an IP address.
type Address struct{ netip.Addr }

// Shape implements config.Shaped.
func (a *Address) Shape() config.Shape {
	return config.Shape{Name: "address", Want: "an IP address such as 203.0.113.7"}
}

// UnmarshalText reads an address without a zone.
func (a *Address) UnmarshalText(text []byte) error {
	addr, err := netip.ParseAddr(string(text))
	if err != nil || addr.Zone() != "" {
		return errors.New("write an address without port and zone")
	}
	a.Addr = addr.Unmap()
	return nil
}

// Or returns the address, or this machine's own when there is none.
func (a Address) Or() netip.Addr {
	if a.IsValid() {
		return a.Addr
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}
