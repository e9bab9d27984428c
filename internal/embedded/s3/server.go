package s3

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/rclone/gofakes3"
)

// Limits of a request. Pictures have a fraction of a megabyte; a part of a multipart
// upload has 5 MiB at least.
const (
	headTimeout    = 10 * time.Second
	requestTimeout = time.Minute
	idleTimeout    = 2 * time.Minute
	maxHeadBytes   = 16 << 10
	maxBodyBytes   = 64 << 20
)

// Config says where the objects are kept and who may use them.
type Config struct {
	// Dir keeps the objects; it is created when it is absent. One server at a time
	// may use it.
	Dir string
	// AccessKey and SecretKey sign every request. Both are needed.
	AccessKey, SecretKey string
	// Bucket is created when it is absent, and named by URL. It obeys the rules of
	// S3 bucket names.
	Bucket string
	// Logger gets what goes wrong. Default: none.
	Logger *slog.Logger
}

func (c Config) validate() error {
	switch {
	case c.Dir == "":
		return errors.New("an S3 server needs a directory")
	case c.AccessKey == "" || c.SecretKey == "":
		return errors.New("an S3 server needs an access key and a secret key")
	}
	if err := gofakes3.ValidateBucketName(c.Bucket); err != nil {
		return fmt.Errorf("bucket %q: %w", c.Bucket, err)
	}
	return nil
}

// Server is a running S3 server.
type Server struct {
	config   Config
	listener net.Listener
	server   *http.Server
	served   chan error
	stop     sync.Once
	stopped  error
}

// Start opens the directory and listens on a free port of 127.0.0.1. ctx bounds
// the start only; the server runs until Stop.
func Start(ctx context.Context, config Config) (*Server, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	storage, err := openDisk(config.Dir)
	if err != nil {
		return nil, err
	}
	err = storage.CreateBucket(ctx, config.Bucket)
	if err != nil && !gofakes3.HasErrorCode(err, gofakes3.ErrBucketAlreadyExists) {
		return nil, err
	}
	var network net.ListenConfig
	listener, err := network.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for S3: %w", err)
	}
	s := &Server{config: config, listener: listener, server: webServer(config, storage), served: make(chan error, 1)}
	go func() { s.served <- s.server.Serve(listener) }()
	return s, nil
}

func webServer(config Config, storage *disk) *http.Server {
	protocol := gofakes3.New(storage,
		gofakes3.WithV4Auth(map[string]string{config.AccessKey: config.SecretKey}),
		gofakes3.WithoutVersioning(),
		gofakes3.WithIntegrityCheck(true),
		gofakes3.WithLogger(protocolLog{config.Logger}),
	)
	return &http.Server{
		Handler:           bounded(protocol.Server()),
		ReadHeaderTimeout: headTimeout, ReadTimeout: requestTimeout, WriteTimeout: requestTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeadBytes,
		ErrorLog:       slog.NewLogLogger(config.Logger.Handler(), slog.LevelDebug),
	}
}

// bounded refuses bodies that are too large, before a signature is looked at.
func bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > maxBodyBytes {
			http.Error(w, http.StatusText(http.StatusRequestEntityTooLarge), http.StatusRequestEntityTooLarge)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
		next.ServeHTTP(w, r)
	})
}

// URL returns the address, with its keys, in the form of DAYBOOK_S3_URL.
func (s *Server) URL() string {
	address := url.URL{
		Scheme: "http", User: url.UserPassword(s.config.AccessKey, s.config.SecretKey),
		Host: s.listener.Addr().String(), Path: "/" + s.config.Bucket, RawQuery: "region=us-east-1",
	}
	return address.String()
}

// Stop waits for the requests that are under way, or cuts them when ctx ends
// first, and with them connections that were opened and never used, which net/http
// leaves open for five seconds. It may be called repeatedly.
func (s *Server) Stop(ctx context.Context) error {
	s.stop.Do(func() { s.stopped = s.shutdown(ctx) })
	return s.stopped
}

func (s *Server) shutdown(ctx context.Context) error {
	var err error
	if s.server.Shutdown(ctx) != nil {
		err = s.server.Close()
	}
	if serving := <-s.served; !errors.Is(serving, http.ErrServerClosed) {
		err = errors.Join(err, serving)
	}
	if err != nil {
		return fmt.Errorf("stop the S3 server: %w", err)
	}
	return nil
}

// protocolLog passes errors on only: the library's other messages name keys and
// print signed URLs.
type protocolLog struct{ logger *slog.Logger }

func (l protocolLog) Print(level gofakes3.LogLevel, values ...any) {
	if level == gofakes3.LogErr {
		l.logger.Warn("s3 request failed", "error", fmt.Sprint(values...))
	}
}
