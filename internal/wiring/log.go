package wiring

import (
	"fmt"
	"io"

	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/jsonline"
	"github.com/recall-milter/recall-milter/internal/maillog"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Log builds the log of the [log] table; it goes to standard error, where systemd or a person reads it.
func Log(c config.Log, stderr io.Writer) (*maillog.Log, error) {
	level, err := zapcore.ParseLevel(c.Level)
	if err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	sink := zapcore.Lock(zapcore.AddSync(stderr))
	if c.Format == "json" {
		escaping := zapcore.Lock(zapcore.AddSync(jsonline.New(stderr)))
		fields := zap.NewProductionEncoderConfig()
		fields.TimeKey, fields.EncodeTime = "time", zapcore.RFC3339NanoTimeEncoder
		return maillog.New(zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(fields), escaping, level)), true), nil
	}
	encoder := zapcore.NewConsoleEncoder(zapcore.EncoderConfig{MessageKey: "msg", LineEnding: "\n"})
	return maillog.New(zap.New(zapcore.NewCore(encoder, sink, level)), false), nil
}
