package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// flushTimeout bounds how long Shutdown waits for a collector.
const flushTimeout = 500 * time.Millisecond

// Tracing makes the spans of one process. Make it with NewTracing.
type Tracing struct {
	trace.Tracer
	provider *sdk.TracerProvider // nil while tracing is off
}

// NewTracing reads the standard OTEL_* variables [1]. Tracing is off, and costs
// next to nothing, unless OTEL_EXPORTER_OTLP_ENDPOINT or its _TRACES_ form is
// set; OTEL_SDK_DISABLED=true and OTEL_TRACES_EXPORTER=none turn it off too. Of
// protocols, http/protobuf alone is spoken. It connects to nothing. An error is
// one sentence that names the variable.
//
// [1]: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
func NewTracing(ctx context.Context, version string, logger *slog.Logger) (*Tracing, error) {
	wanted, err := tracingWanted()
	if err != nil {
		return nil, err
	}
	if !wanted {
		return &Tracing{Tracer: noop.NewTracerProvider().Tracer(scope)}, nil
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_ENDPOINT: %w", err)
	}
	described, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "daybook"), attribute.String("service.version", version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	provider := sdk.NewTracerProvider(sdk.WithBatcher(patientExporter{exporter, logger}), sdk.WithResource(described))
	return &Tracing{Tracer: provider.Tracer(scope, trace.WithInstrumentationVersion(version)), provider: provider}, nil
}

// scope names the instrumentation in exported spans.
const scope = "daybook"

func tracingWanted() (bool, error) {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return false, nil
	}
	switch exporter := os.Getenv("OTEL_TRACES_EXPORTER"); exporter {
	case "none":
		return false, nil
	case "", "otlp":
	default:
		return false, errors.New("OTEL_TRACES_EXPORTER must be otlp or none")
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if protocol := os.Getenv(name); protocol != "" && protocol != "http/protobuf" {
			return false, fmt.Errorf("%s must be http/protobuf", name)
		}
	}
	return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "", nil
}

// On reports whether spans are recorded.
func (t *Tracing) On() bool { return t.provider != nil }

// Shutdown sends what is left, for at most half a second, and ends tracing.
func (t *Tracing) Shutdown(ctx context.Context) error {
	if t.provider == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	return t.provider.Shutdown(ctx)
}

// patientExporter logs what the SDK would hand to a global error handler.
type patientExporter struct {
	sdk.SpanExporter
	logger *slog.Logger
}

// ExportSpans never fails: spans that were not taken are dropped.
func (e patientExporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	if err := e.SpanExporter.ExportSpans(ctx, spans); err != nil {
		e.logger.WarnContext(ctx, "spans were not exported", slog.Int("spans", len(spans)), slog.Any("error", err))
	}
	return nil
}
