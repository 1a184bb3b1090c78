//go:build linux

package deploy

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

func chart(t *testing.T) string { t.Helper(); return filepath.Join(root(t), "deploy/helm/yett") }

// chartConfig is the configuration that the chart has in its values.
func chartConfig(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(chart(t), "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var values struct {
		Config string `yaml:"config"`
	}
	if err := yaml.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	return values.Config
}

// chartStatePlace is where the chart mounts the directory of running gateways.
func chartStatePlace(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(chart(t), "templates/deployment.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`\{name: state, mountPath: ([^}]+)\}`).FindSubmatch(text)
	if found == nil {
		t.Fatal("the chart mounts no state")
	}
	return string(found[1])
}

func TestChartConfigIsRight(t *testing.T) {
	file := filepath.Join(tempDir(t), "yett.yaml")
	write(t, file, chartConfig(t))
	if said := output(t, nil, binary, "check", "-c", file); !strings.Contains(said, "ok, 3 routes") {
		t.Error(said)
	}
}

// rendered are sets of values, and the kinds that they bring beside the ones that are always there.
var rendered = map[string]struct {
	set   []string
	kinds []string
}{
	"default":     {nil, []string{"ConfigMap", "PodDisruptionBudget", "ServiceAccount"}},
	"autoscaling": {[]string{"autoscaling.enabled=true"}, []string{"ConfigMap", "HorizontalPodAutoscaler", "PodDisruptionBudget", "ServiceAccount"}},
	"monitor":     {[]string{"serviceMonitor.enabled=true", "serviceMonitor.labels.release=prometheus"}, []string{"ConfigMap", "PodDisruptionBudget", "ServiceAccount", "ServiceMonitor"}},
	"network": {[]string{"networkPolicy.enabled=true", "networkPolicy.ingressFrom[0].podSelector.matchLabels.app=front", "networkPolicy.egressTo[0].ipBlock.cidr=10.0.0.0/8"},
		[]string{"ConfigMap", "NetworkPolicy", "PodDisruptionBudget", "ServiceAccount"}},
	"network without lists": {[]string{"networkPolicy.enabled=true"}, []string{"ConfigMap", "NetworkPolicy", "PodDisruptionBudget", "ServiceAccount"}},
	"own configuration": {[]string{"existingConfigMap=mine", "env[0].name=JWT_SECRET", "env[0].valueFrom.secretKeyRef.name=s", "env[0].valueFrom.secretKeyRef.key=k", "envFrom[0].secretRef.name=s",
		"extraVolumes[0].name=tls", "extraVolumes[0].secret.secretName=tls", "extraVolumeMounts[0].name=tls", "extraVolumeMounts[0].mountPath=/etc/tls"},
		[]string{"PodDisruptionBudget", "ServiceAccount"}},
	"load balancer": {[]string{"service.type=LoadBalancer", "service.externalTrafficPolicy=Local", "service.annotations.a=b"}, []string{"ConfigMap", "PodDisruptionBudget", "ServiceAccount"}},
	"little":        {[]string{"podDisruptionBudget.enabled=false", "serviceAccount.create=false", "topologySpread=false", "goMemLimit="}, []string{"ConfigMap"}},
	"placed": {[]string{"nodeSelector.disk=ssd", "tolerations[0].key=a", "tolerations[0].operator=Exists", "priorityClassName=high", "podLabels.team=a", "podAnnotations.b=c",
		"imagePullSecrets[0].name=r", "image.tag=v1.2.3", "fullnameOverride=gate",
		"affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].key=a",
		"affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].operator=Exists"},
		[]string{"ConfigMap", "PodDisruptionBudget", "ServiceAccount"}},
}

func TestChart(t *testing.T) {
	helm := needHelm(t)
	if said := output(t, nil, helm, "lint", "--strict", chart(t)); strings.Contains(said, "[WARNING]") {
		t.Error(said)
	}
	c := jsonschema.NewCompiler()
	for name, values := range rendered {
		t.Run(name, func(t *testing.T) {
			args := []string{"template", "r", chart(t), "--kube-version", "1.31.0"}
			for _, s := range values.set {
				args = append(args, "--set", s)
			}
			var kinds []string
			for _, m := range manifests(t, output(t, nil, helm, args...)) {
				kind, _ := m["kind"].(string)
				schema, err := c.Compile("testdata/kubernetes.schema.json#/definitions/" + kind)
				if err != nil {
					t.Fatal(err)
				}
				if err := schema.Validate(m); err != nil {
					t.Errorf("%s: %v", kind, err)
				}
				kinds = append(kinds, kind)
			}
			want := append([]string{"Deployment", "Service"}, values.kinds...)
			slices.Sort(want)
			slices.Sort(kinds)
			if !slices.Equal(kinds, want) {
				t.Errorf("kinds %q, want %q", kinds, want)
			}
		})
	}
}

// What the chart does not know is refused, rather than ignored.
func TestChartRefuses(t *testing.T) {
	helm := needHelm(t)
	for _, set := range []string{"replicas=3", "service.type=Bad", "image.repository=", "probes.readiness=ready", "config="} {
		if said, err := try(t, nil, helm, "template", "r", chart(t), "--set", set); err == nil {
			t.Errorf("%s is taken:\n%.300s", set, said)
		}
	}
}

func needHelm(t *testing.T) string {
	t.Helper()
	if home, err := os.UserHomeDir(); err == nil { // where go install puts it
		if path := filepath.Join(home, "go/bin/helm"); fileExists(path) {
			return path
		}
	}
	return need(t, "helm")
}

func fileExists(path string) bool { _, err := os.Stat(path); return err == nil }

func manifests(t *testing.T, text string) (all []map[string]any) {
	t.Helper()
	for d := yaml.NewDecoder(strings.NewReader(text)); ; {
		var m map[string]any
		err := d.Decode(&m)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(fmt.Errorf("%w in\n%s", err, text))
		}
		if m != nil {
			all = append(all, m)
		}
	}
}
