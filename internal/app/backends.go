package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"daybook/internal/embedded/kafka"
	"daybook/internal/embedded/postgres"
	"daybook/internal/embedded/s3"
	"daybook/internal/embedded/smtp"
	"daybook/internal/eventstore/node"
)

// backends are the stand-ins for what is not configured. Nil ones are not
// needed.
type backends struct {
	dir     *dataDir
	keys    keyFile
	node    *node.Node
	socket  string
	cluster *postgres.Cluster
	objects *s3.Server
	mail    *smtp.Server
	kafka   *kafka.Server
	// controlled is closed when the node's control channel is.
	controlled <-chan struct{}
	// failed gets the error of a stand-in that ended by itself.
	failed chan error
}

// embedded lists what runs inside this process, for the start message.
func (b *backends) embedded() []string {
	var names []string
	for _, part := range []struct {
		running bool
		name    string
	}{{b.node != nil, "event store"}, {b.cluster != nil, "Postgres"}, {b.objects != nil, "S3"}, {b.mail != nil, "mail catcher"}, {b.kafka != nil, "Kafka"}} {
		if part.running {
			names = append(names, part.name)
		}
	}
	return names
}

// startBackends starts, side by side, a stand-in for each backend that is not
// configured. After an error nothing is left running.
func startBackends(ctx context.Context, s *Settings, logger *slog.Logger) (_ *backends, err error) {
	b := &backends{failed: make(chan error, 4)}
	if s.EventStoreURL != "" && s.DatabaseURL != "" && s.S3URL != "" && s.SMTPURL != "" && s.KafkaURL != kafkaEmbedded && !s.generatesKeys() {
		return b, nil
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.stop(context.WithoutCancel(ctx)))
		}
	}()
	if b.dir, err = openDataDir(s.DataDir); err != nil {
		return nil, err
	}
	if b.keys, err = generatedKeys(b.dir.path); err != nil {
		return nil, err
	}
	var starting errgroup.Group
	if s.EventStoreURL == "" {
		starting.Go(func() error { return b.startNode(logger) })
	}
	if s.DatabaseURL == "" {
		starting.Go(func() error { return b.startCluster(ctx, logger) })
	}
	if s.S3URL == "" {
		starting.Go(func() error { return b.startObjects(ctx, logger) })
	}
	if s.SMTPURL == "" {
		starting.Go(func() error { return b.startMail(ctx, logger) })
	}
	if s.KafkaURL == kafkaEmbedded {
		starting.Go(func() error { return b.startKafka(logger) })
	}
	return b, starting.Wait()
}

func (b *backends) startNode(logger *slog.Logger) error {
	// A socket in the data directory could have too long a path (107 bytes).
	dir, err := os.MkdirTemp("", "daybook-")
	if err != nil {
		return fmt.Errorf("make a directory for the event store's socket: %w", err)
	}
	b.socket = filepath.Join(dir, socketName)
	var network net.ListenConfig
	listener, err := network.Listen(context.Background(), "unix", b.socket)
	if err != nil {
		return fmt.Errorf("listen for the event store: %w", err)
	}
	logger = logger.With(slog.String("part", "event store"))
	n, err := node.Open(node.Config{Path: b.dir.join("events.db"), Logger: logger})
	if err != nil {
		_ = listener.Close()
		return fmt.Errorf("DAYBOOK_EVENTSTORE_URL is not set and the embedded event store cannot be opened: %w", err)
	}
	b.node = n
	b.controlled = serveControl(n, logger)
	go func() {
		if err := n.Serve(listener); err != nil {
			b.failed <- fmt.Errorf("the embedded event store ended: %w", err)
		}
	}()
	return nil
}

func (b *backends) startCluster(ctx context.Context, logger *slog.Logger) error {
	cluster, err := postgres.Start(ctx, postgres.Config{DataDir: b.dir.clusterDir(), Logger: logger.With(slog.String("part", "postgres"))})
	if err != nil {
		return fmt.Errorf("DAYBOOK_DATABASE_URL is not set and no private Postgres can be started: %w", err)
	}
	b.cluster = cluster
	go func() {
		<-cluster.Done()
		if err := cluster.Err(); err != nil {
			b.failed <- fmt.Errorf("the private Postgres ended: %w", err)
		}
	}()
	return nil
}

func (b *backends) startObjects(ctx context.Context, logger *slog.Logger) (err error) {
	b.objects, err = s3.Start(ctx, s3.Config{
		Dir: b.dir.join("objects"), AccessKey: b.keys.S3Access, SecretKey: b.keys.S3Secret, Bucket: "daybook",
		Logger: logger.With(slog.String("part", "s3")),
	})
	if err != nil {
		return fmt.Errorf("DAYBOOK_S3_URL is not set and the embedded S3 cannot be started: %w", err)
	}
	return nil
}

func (b *backends) startMail(ctx context.Context, logger *slog.Logger) (err error) {
	b.mail, err = smtp.Start(ctx, smtp.Config{Dir: b.dir.join("mail"), Logger: logger.With(slog.String("part", "mail catcher"))})
	if err != nil {
		return fmt.Errorf("DAYBOOK_SMTP_URL is not set and the mail catcher cannot be started: %w", err)
	}
	return nil
}

// mailbox shows the caught mail; nil without the catcher.
func (b *backends) mailbox() http.Handler {
	if b.mail == nil {
		return nil
	}
	return b.mail.Handler()
}

// stop ends all stand-ins, each within its share of the five seconds that the
// end of the service may take.
func (b *backends) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	var stopping errgroup.Group
	if b.mail != nil {
		stopping.Go(func() error { return b.mail.Stop(ctx) })
	}
	if b.kafka != nil {
		stopping.Go(func() error { return b.kafka.Stop(ctx) })
	}
	if b.objects != nil {
		stopping.Go(func() error { return b.objects.Stop(ctx) })
	}
	if b.cluster != nil {
		stopping.Go(func() error { return b.cluster.Stop(ctx) })
	}
	if b.node != nil {
		stopping.Go(b.node.Close)
	}
	err := stopping.Wait()
	if b.controlled != nil {
		<-b.controlled
	}
	if b.socket != "" {
		err = errors.Join(err, os.RemoveAll(filepath.Dir(b.socket)))
	}
	if b.dir != nil {
		err = errors.Join(err, b.dir.close())
	}
	return err
}
