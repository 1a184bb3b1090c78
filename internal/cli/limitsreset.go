package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"yett/internal/admin"
	"yett/internal/app"
	"yett/internal/config"
	"yett/internal/meter"
	"yett/internal/snapshot"
	"yett/internal/store/memory"
	"yett/internal/store/redis"
)

func (p Process) limitsResetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reset KEY",
		Short: "Let limits forget what somebody has used",
		Long: `Reset lets one limit, or all of them, forget what they have counted under a key: whoever it is
has all of the limit again. The key is written as yett limits shows it, such as user:42,
ip:203.0.113.7, or tenant:t-1|route:reports of a limit that counts by both. Behind an = stands
a plain value, of whatever characters: user=100%.

With a store in Redis it writes there, whether a gateway runs or not, and all gateways
of that store forget within a second. Otherwise it asks the running gateway, through
the route with the endpoint limits, and with an access token that may use it.`,
		Example: `  yett limits reset user:42                         in all limits that count users
  yett limits reset ip:203.0.113.7 --limit login
  yett limits reset 'tenant:t-1|route:reports' --limit reports
  YETT_TOKEN=$ADMIN yett limits reset user:42 --url https://api.example.org/internal/limits`,
		Args:              oneKey,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	var f limitsFlags
	file := f.common(cmd, p, "name of the only limit that forgets (default all that count under such a key)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
		defer cancel()
		text, err := p.resetLimits(ctx, &f, file(), args[0])
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), printable(text))
		return err
	}
	return cmd
}

const (
	notReset    = "nothing was reset"
	maybeNotAll = "it is not certain that all of it was reset"
)

// resetLimits returns what was forgotten, and where.
func (p Process) resetLimits(ctx context.Context, f *limitsFlags, file, key string) (string, error) {
	f.token(p)
	if f.url != "" {
		return f.askToReset(ctx, f.named(limitsEndpoint), key)
	}
	c, err := config.Load(file, p.Env)
	if err != nil {
		return "", explain(err, notReset)
	}
	set, err := snapshot.Limits(c)
	if err != nil {
		return "", explain(err, notReset)
	}
	targets, err := admin.Targets(set, f.limit, key)
	if err != nil {
		return "", fmt.Errorf("%s: %w", notReset, err)
	}
	o, err := snapshot.Store(c)
	if err != nil {
		return "", explain(err, notReset)
	}
	if o != nil {
		return resetInStore(ctx, o, targets)
	}
	page, err := findPage(c, limitsEndpoint, http.MethodDelete, "the store is in memory", "keep state in Redis with store.redis, ")
	if err != nil {
		return "", err
	}
	return f.askToReset(ctx, page, sameKey(targets, key))
}

// sameKey returns the key under which all limits count what was typed, or what was typed:
// a secret need not stand in an address, where its hash does as well.
func sameKey(targets []admin.Forgotten, typed string) string {
	for _, t := range targets {
		if t.Key != targets[0].Key {
			return typed
		}
	}
	return targets[0].Key
}

// resetInStore writes into the store itself.
func resetInStore(ctx context.Context, o *redis.Options, targets []admin.Forgotten) (string, error) {
	s, err := app.OpenStore(ctx, o)
	if s != nil {
		defer s.Close()
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w; --url asks a running gateway instead", notReset, err)
	}
	for _, t := range targets {
		if err := meter.Forget(ctx, s, t.Limit, t.Key); err != nil {
			return "", fmt.Errorf("%s: %w; try again", maybeNotAll, err)
		}
	}
	return fmt.Sprintf("forgot %s; all gateways of the store %s follow within a second", described(targets), o.Where()), nil
}

// described lists keys with the limits that have forgotten them.
func described(targets []admin.Forgotten) string {
	var keys []string
	byKey := make(map[string][]string)
	for _, t := range targets {
		if byKey[t.Key] == nil {
			keys = append(keys, t.Key)
		}
		byKey[t.Key] = append(byKey[t.Key], t.Limit)
	}
	for i, key := range keys {
		word := "limit"
		if len(byKey[key]) > 1 {
			word = "limits"
		}
		keys[i] = fmt.Sprintf("%s of the %s %s", key, word, strings.Join(byKey[key], ", "))
	}
	return strings.Join(keys, ", and ")
}

// askToReset asks a running gateway.
func (f *limitsFlags) askToReset(ctx context.Context, page gatewayPage, key string) (string, error) {
	q := url.Values{"key": {key}}
	if f.limit != "" {
		q.Set("limit", f.limit)
	}
	means := consequence{nothing: notReset, unsure: maybeNotAll}
	status, answer, err := page.send(ctx, pageRequest{method: http.MethodDelete, query: q, bearer: f.bearer}, means)
	if err != nil {
		return "", err
	}
	if status != http.StatusOK {
		return "", fmt.Errorf("%s: %w", notReset, page.refusedBy(status, answer, f.bearer != ""))
	}
	var told admin.ForgottenPage
	if err := json.Unmarshal(answer, &told); err != nil || told.Store == "" || len(told.Forgotten) == 0 {
		return "", fmt.Errorf("%s: %w", maybeNotAll, page.noAnswer())
	}
	what := described(told.Forgotten)
	switch told.Store {
	case "written":
		return fmt.Sprintf("forgot %s; by the gateway at %s at once, and by all that share its store within a second", what, page.url), nil
	case memory.Name:
		return fmt.Sprintf("forgot %s; by the gateway at %s, which counts alone", what, page.url), nil
	}
	return "", fmt.Errorf("only the gateway at %s has forgotten %s: its store does not take it now, and counts again when it is back; reset again then", page.url, printable(what))
}
