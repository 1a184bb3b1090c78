package config

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Shape describes a type that is written as a single word, for messages, the
// schema and the reference.
type Shape struct {
	// Name is a word or two for the reference, such as "duration".
	Name string
	// Want completes the sentence "want ...", with an example.
	Want string
	// Pattern is a regular expression for the whole word; empty for any.
	Pattern string
	// Number tells that a bare whole number is also right.
	Number bool
}

// Shaped is implemented, on the pointer, by types that are written as a
// single word. The error of UnmarshalText says what to do about a word that
// does not fit: it becomes the hint of the problem.
type Shaped interface {
	encoding.TextUnmarshaler
	Shape() Shape
}

// Duration is a length of time, written as 500ms, 30s or 1h30m. It is never
// negative.
type Duration time.Duration

// Shape describes how a duration is written.
func (d *Duration) Shape() Shape {
	return Shape{
		Name:    "duration",
		Want:    "a duration such as 500ms, 30s or 1h30m",
		Pattern: `([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))*`,
	}
}

// UnmarshalText reads Go's notation. Unlike Go it wants a unit even after 0,
// and no sign.
func (d *Duration) UnmarshalText(text []byte) error {
	s := string(text)
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return fmt.Errorf("add a unit: %ss for seconds, %sms for milliseconds", s, s)
	}
	v, err := time.ParseDuration(s)
	if err != nil || strings.ContainsAny(s, "+-") {
		return errors.New("write a number and a unit: ms, s, m or h")
	}
	*d = Duration(v)
	return nil
}

// String returns the shortest notation: 1h, not 1h0m0s.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText returns the duration as an operator writes it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Size is a number of bytes, written as 512, 64KB, 10MB or 1GB, where 1KB is
// 1024 bytes. It is never negative.
type Size int64

// Sizes of the units.
const (
	KB Size = 1 << 10
	MB Size = 1 << 20
	GB Size = 1 << 30
)

// Shape describes how a size is written.
func (s *Size) Shape() Shape {
	return Shape{
		Name:    "size",
		Want:    "a size such as 512, 64KB or 10MB",
		Pattern: `[0-9]+([KMGkmg]?[Bb])?`,
		Number:  true,
	}
}

// UnmarshalText reads whole bytes, or a whole number with B, KB, MB or GB in
// any case.
func (s *Size) UnmarshalText(text []byte) error {
	const hint = "write bytes, or a whole number with KB, MB or GB (1KB is 1024 bytes)"
	number, unit := splitUnit(strings.ToUpper(string(text)))
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || unit == 0 {
		return errors.New(hint)
	}
	if n > math.MaxInt64/int64(unit) {
		return errors.New("write a smaller number")
	}
	*s = Size(n) * unit
	return nil
}

// splitUnit returns the digits in front and the size of the unit behind them,
// 0 for an unknown one.
func splitUnit(s string) (number string, unit Size) {
	number = strings.TrimRight(s, "BKMG")
	if strings.HasPrefix(number, "+") || strings.HasPrefix(number, "-") {
		return "", 0
	}
	switch s[len(number):] {
	case "", "B":
		return number, 1
	case "KB":
		return number, KB
	case "MB":
		return number, MB
	case "GB":
		return number, GB
	}
	return number, 0
}

// String returns the size in the largest unit that needs no fraction.
func (s Size) String() string {
	switch {
	case s == 0:
		return "0"
	case s%GB == 0:
		return fmt.Sprintf("%dGB", s/GB)
	case s%MB == 0:
		return fmt.Sprintf("%dMB", s/MB)
	case s%KB == 0:
		return fmt.Sprintf("%dKB", s/KB)
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalText returns the size as an operator writes it.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Prefix is a network, written as CIDR (10.0.0.0/8) or as a single address.
type Prefix struct{ netip.Prefix }

// Shape describes how a network is written.
func (p *Prefix) Shape() Shape {
	return Shape{
		Name:    "network",
		Want:    "a network such as 10.0.0.0/8, or an address",
		Pattern: `[0-9A-Fa-f:.]+(/[0-9]{1,3})?`,
	}
}

// UnmarshalText reads a CIDR without bits behind the mask, or an address,
// which stands for itself alone. An IPv4 address in IPv6 form becomes IPv4.
func (p *Prefix) UnmarshalText(text []byte) error {
	s := string(text)
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		p.Prefix = netip.PrefixFrom(addr, addr.BitLen())
		return nil
	}
	prefix, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return errors.New("write an IP address, or address/bits")
	case prefix != prefix.Masked():
		return fmt.Errorf("bits behind /%d are set: write %s, or the address alone", prefix.Bits(), prefix.Masked())
	case prefix.Addr().Is4In6():
		return errors.New("write IPv4 networks as 10.0.0.0/8")
	}
	p.Prefix = prefix
	return nil
}

// StringList is a list of texts that may be written as a single one. A text
// that is wholly one ${VARIABLE} is split at commas, blanks around the parts
// are dropped, and an empty one is the empty list.
type StringList []string

// splitList is the splitting that StringList does.
func splitList(text string) StringList {
	if strings.TrimSpace(text) == "" {
		return StringList{}
	}
	parts := strings.Split(text, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}
