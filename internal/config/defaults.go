package config

import (
	"reflect"
	"time"
)

// defaulter is implemented, on the pointer, by types that have defaults.
type defaulter interface{ SetDefaults() }

// Defaults returns the configuration on which an operator's words are laid.
// Elements of lists and mappings start from the defaults of their own type.
func Defaults() Config {
	var c Config
	setDefaults(reflect.ValueOf(&c).Elem())
	return c
}

// SetDefaults fills what into points to with the defaults of its type, such as those of an
// element of a list.
func SetDefaults(into any) { setDefaults(reflect.ValueOf(into).Elem()) }

// setDefaults calls SetDefaults on v and on the structs inside it, inner ones
// first, so that an outer type may differ.
func setDefaults(v reflect.Value) {
	if v.Kind() == reflect.Struct {
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				setDefaults(v.Field(i))
			}
		}
	}
	if d, ok := v.Addr().Interface().(defaulter); ok {
		d.SetDefaults()
	}
}

func seconds(n int) Duration { return Duration(time.Duration(n) * time.Second) }

// SetDefaults names the gateway and the headers that carry an identity.
func (c *Config) SetDefaults() {
	c.Name = "yett"
	c.IdentityHeaders = []string{"X-User-ID", "X-User-Email", "X-User-Role", "X-Tenant-ID"}
}

// SetDefaults tells clients what is left of their limits in the form that most of them know.
func (l *Listener) SetDefaults() { l.RateLimit = "legacy" }

// SetDefaults allows TLS from version 1.2.
func (t *TLS) SetDefaults() { t.MinVersion = "1.2" }

// SetDefaults bounds all but the body, which is never held in memory.
func (l *ListenerLimits) SetDefaults() {
	*l = ListenerLimits{
		RequestLine: 8 * KB,
		Header:      32 * KB,
		HeaderCount: 100,
		ChunkLine:   1 * KB,
		Trailer:     8 * KB,
		BodyMinRate: 256,
	}
}

// SetDefaults gives a slow client time, and a stuck one not for ever.
func (t *ListenerTimeouts) SetDefaults() {
	*t = ListenerTimeouts{
		Header:     seconds(10),
		Idle:       seconds(75),
		BodyIdle:   seconds(30),
		Write:      seconds(30),
		TunnelIdle: Duration(time.Hour),
	}
}

// SetDefaults tells a service what nearly all of them look for.
func (f *Forwarded) SetDefaults() { *f = Forwarded{XForwarded: true, Gateway: true} }

// SetDefaults drains at once, within the time that supervisors usually grant.
func (s *Shutdown) SetDefaults() { *s = Shutdown{Grace: seconds(10), Tunnels: seconds(10)} }

// SetDefaults follows what is renewed without anybody's doing, and leaves it to the operator
// when an edited configuration is to be used.
func (r *Reload) SetDefaults() { *r = Reload{Watch: "certificates", Keep: 20} }

// SetDefaults logs information and worse.
func (l *Log) SetDefaults() { l.Level, l.Format = "info", "json" }

// SetDefaults keeps a disk from filling up: about 1 GB for each log before compression.
func (r *Rotate) SetDefaults() { *r = Rotate{Size: 100 << 20, Keep: 10, Compress: true} }

// SetDefaults writes to standard output, without query values.
func (a *AccessLog) SetDefaults() {
	*a = AccessLog{Output: "stdout", Errors: "off", Format: "json", Query: "redact", Flush: Duration(50 * time.Millisecond)}
}

// SetDefaults forwards the path that was matched.
func (f *Forward) SetDefaults() { f.Path = "normalized" }
