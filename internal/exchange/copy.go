package exchange

// CopyRequest makes to, which is fresh from a Pool, a request that says the same to a
// service: what is sent of it, who calls, and what its route took from the path. Nothing in
// it points into x. A body is copied when it is whole, and else left out; there is no
// upgrade, no Interim and no trailer. How long it may take is left to the service.
func (x *Exchange) CopyRequest(to *Exchange) {
	whole, _ := x.RequestBody.Whole()
	c := copier{to.Bytes(x.requestBytes() + len(whole))}
	from, into := x.texts(), to.texts()
	for i := range from {
		*into[i] = c.text(*from[i])
	}
	for _, f := range x.Request.Fields() {
		to.Request.AddField(Field{c.text(f.Name), c.text(f.Value), f.Key})
	}
	for _, p := range x.Params() {
		to.AddParam(c.text(p.Name), c.text(p.Value))
	}
	to.RequestBody.SetBytes(c.bytes(whole))
	to.Secure, to.Version, to.HasQuery = x.Secure, x.Version, x.HasQuery
	to.EncodedSlash, to.EncodedNUL = x.EncodedSlash, x.EncodedNUL
	to.Peer, to.Local, to.PeerTrusted, to.Client = x.Peer, x.Local, x.PeerTrusted, x.Client
	to.Identity, to.Now = x.Identity, x.Now
	to.Listener, to.Route = x.Listener, x.Route // which are no views
}

// texts are the views that make a request, but for its header and the values of its path.
func (x *Exchange) texts() [8]*string {
	return [...]*string{&x.Method, &x.Host, &x.Authority, &x.RawPath, &x.Path, &x.Query, &x.RequestID, &x.Out.Path}
}

// requestBytes is how long all views of a request are together, without its body.
func (x *Exchange) requestBytes() int {
	n := 0
	for _, s := range x.texts() {
		n += len(*s)
	}
	for i := range x.Request.fields {
		n += len(x.Request.fields[i].Name) + len(x.Request.fields[i].Value)
	}
	for _, p := range x.Params() {
		n += len(p.Name) + len(p.Value)
	}
	return n
}

// copier puts copies one behind the other into memory that is large enough for all.
type copier struct{ room []byte }

func (c *copier) text(s string) string {
	n := copy(c.room, s)
	out := View(c.room[:n])
	c.room = c.room[n:]
	return out
}

func (c *copier) bytes(p []byte) []byte {
	n := copy(c.room, p)
	out := c.room[:n:n]
	c.room = c.room[n:]
	return out
}
