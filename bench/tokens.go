package main

import (
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"time"
)

const (
	// manyTokens is how many different ones take turns where none may have been seen
	// before. Yett remembers 16,384, four in each of 4,096 places. With 40,000, one in
	// a hundred meets so few others in its place that it is still known.
	manyTokens = 40_000
	// keyFile holds the public key of RS256, beside a configuration.
	keyFile = "issuer.pem"
)

// oneRS256 is the token of chainRequest, signed with RS256.
var oneRS256 = sync.OnceValue(func() string { return technician(time.Now()).signRS256(issuerKey()) })

// manyHS256 and manyRS256 are tokens that differ in their ID alone.
var (
	manyHS256 = sync.OnceValue(func() []string { return tokensOf(func(c claims) string { return c.sign(tokenSecret) }) })
	manyRS256 = sync.OnceValue(func() []string { return tokensOf(func(c claims) string { return c.signRS256(issuerKey()) }) })
)

func tokensOf(sign func(claims) string) []string {
	caller := technician(time.Now())
	tokens := make([]string, manyTokens)
	workers := runtime.NumCPU()
	var done sync.WaitGroup
	for w := range workers {
		done.Go(func() {
			for i := w; i < len(tokens); i += workers {
				c := caller
				c.ID = fmt.Sprintf("b7c2d9f4-1a35-4e8c-a6d0-%012d", i)
				tokens[i] = sign(c)
			}
		})
	}
	done.Wait()
	return tokens
}

// signed is chainRequest with another token.
func signed(one func() string, many func() []string) *request {
	r := chainRequest()
	r.Authorization, r.Token, r.Tokens = "", one, many
	return &r
}

// rs256Case is the chain with tokens that an issuer has signed with RSA. Verifying
// one takes a good deal longer, but once only: after that it is known.
func rs256Case() benchCase {
	return benchCase{
		Name: "rs256", About: "the chain with a token signed with RS256 that is used again and again, beside HS256",
		Request: chainRequest(), Want: ok(200),
		Variants: []variant{
			{Of: "yett", Name: "hs256", Conf: yettChain()},
			{Of: "yett", Name: "rs256", Conf: yettChainRS256(), Request: signed(oneRS256, nil)},
			{Of: "haproxy", Name: "hs256", Conf: haproxyChain()},
			{Of: "haproxy", Name: "rs256", Conf: haproxyChainRS256(), Request: signed(oneRS256, nil)},
		},
		Targets: []target{{"yett (rs256)", "yett (hs256)", 1.03}},
	}
}

// coldCase is the chain with a token that was not seen before in each request.
func coldCase() benchCase {
	return benchCase{
		Name: "tokens-cold", About: "the chain with another token in each request: " + strconv.Itoa(manyTokens) + " take turns, more than Yett remembers",
		Request: chainRequest(), Want: ok(200),
		Variants: []variant{
			{Of: "yett", Name: "hs256", Conf: yettChain(), Request: signed(nil, manyHS256)},
			{Of: "yett", Name: "rs256", Conf: yettChainRS256(), Request: signed(nil, manyRS256)},
			{Of: "yett", Name: "hs256 known", Conf: yettChain()},
			{Of: "haproxy", Name: "hs256", Conf: haproxyChain(), Request: signed(nil, manyHS256)},
			{Of: "haproxy", Name: "rs256", Conf: haproxyChainRS256(), Request: signed(nil, manyRS256)},
		},
	}
}

// withKeyFile puts the public key beside the configuration.
func withKeyFile(c conf) conf {
	c.Files = map[string]func() string{keyFile: func() string { return issuerKey().public() }}
	return c
}

func yettChainRS256() conf { return withKeyFile(yettChainOf("pem: " + keyFile)) }

func haproxyChainRS256() conf { return withKeyFile(haproxyChainOf("RS256", keyFile, nil, nil)) }
