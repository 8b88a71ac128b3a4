// franz-go as an interop client: one JSON request per line in, one JSON answer per line out. See ../../agents.py for the
// operations; they mean the same in every agent.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sort"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

const timeout = 30 * time.Second

type request struct {
	Op              string            `json:"op"`
	Bootstrap       string            `json:"bootstrap"`
	Security        *security         `json:"security"`
	Topic           string            `json:"topic"`
	Partitions      int32             `json:"partitions"`
	Configs         map[string]string `json:"configs"`
	Records         []record          `json:"records"`
	Codec           string            `json:"codec"`
	Transaction     string            `json:"transaction"`
	TransactionalID string            `json:"transactional_id"`
	Idempotent      bool              `json:"idempotent"`
	Count           int               `json:"count"`
	Group           string            `json:"group"`
	Commit          bool              `json:"commit"`
	Isolation       string            `json:"isolation"`
	WaitMs          int64             `json:"wait_ms"`
	Timestamp       int64             `json:"timestamp"`
	Partition       int32             `json:"partition"`
	Offset          int64             `json:"offset"`
	Source          string            `json:"source"`
	Sink            string            `json:"sink"`
	Strategy        string            `json:"strategy"`
	InstanceIDs     []string          `json:"instance_ids"`
	Protocol        string            `json:"protocol"`
}

type record struct {
	Key       []byte       `json:"key"`
	Value     []byte       `json:"value"`
	Headers   [][2]*string `json:"headers"`
	Timestamp int64        `json:"timestamp"`
	Partition int32        `json:"partition"`
	Offset    int64        `json:"offset"`
}

func bytesOf(text *string) []byte {
	if text == nil {
		return nil
	}
	var out []byte
	quoted, _ := json.Marshal(*text)
	_ = json.Unmarshal(quoted, &out)
	return out
}

func textOf(value []byte) *string {
	if value == nil {
		return nil
	}
	quoted, _ := json.Marshal(value)
	var out string
	_ = json.Unmarshal(quoted, &out)
	return &out
}

// How to be let in, see clients.Bootstrap.
type security struct {
	Ca, Mechanism, User, Password, Token, Cert, Key string
}

func (how security) options() ([]kgo.Opt, error) {
	ca, err := os.ReadFile(how.Ca)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AppendCertsFromPEM(ca)
	if how.Cert != "" {
		own, err := tls.LoadX509KeyPair(how.Cert, how.Key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{own}
	}
	options := []kgo.Opt{kgo.DialTLSConfig(config)}
	switch how.Mechanism {
	case "PLAIN":
		options = append(options, kgo.SASL(plain.Auth{User: how.User, Pass: how.Password}.AsMechanism()))
	case "OAUTHBEARER":
		options = append(options, kgo.SASL(oauth.Auth{Token: how.Token}.AsMechanism()))
	case "SCRAM-SHA-256":
		options = append(options, kgo.SASL(scram.Auth{User: how.User, Pass: how.Password}.AsSha256Mechanism()))
	case "SCRAM-SHA-512":
		options = append(options, kgo.SASL(scram.Auth{User: how.User, Pass: how.Password}.AsSha512Mechanism()))
	}
	return options, nil
}

func connect(r request, more ...kgo.Opt) (*kgo.Client, error) {
	if r.Security != nil {
		options, err := r.Security.options()
		if err != nil {
			return nil, err
		}
		more = append(more, options...)
	}
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(r.Bootstrap), kgo.ClientID("interop-franz-go")}, more...)...)
}

func admin(r request, act func(context.Context, *kadm.Client) (any, error)) (any, error) {
	client, err := connect(r)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return act(ctx, kadm.NewClient(client))
}

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

func toRecords(r request) []*kgo.Record {
	var out []*kgo.Record
	for _, one := range r.Records {
		headers := make([]kgo.RecordHeader, 0, len(one.Headers))
		for _, pair := range one.Headers {
			headers = append(headers, kgo.RecordHeader{Key: *pair[0], Value: bytesOf(pair[1])})
		}
		made := &kgo.Record{Topic: r.Topic, Key: one.Key, Value: one.Value, Headers: headers}
		if one.Timestamp > 0 {
			made.Timestamp = time.UnixMilli(one.Timestamp)
		}
		out = append(out, made)
	}
	return out
}

func produce(r request) (any, error) {
	options := []kgo.Opt{
		kgo.ProducerBatchCompression(codecs[r.Codec]), kgo.AllowAutoTopicCreation(), kgo.ProducerLinger(5 * time.Millisecond),
		kgo.ProducerBatchMaxBytes(8 << 20), kgo.UnknownTopicRetries(50),
	}
	if !r.Idempotent && r.Transaction == "" {
		options = append(options, kgo.DisableIdempotentWrite())
	}
	if r.Transaction != "" {
		options = append(options, kgo.TransactionalID(r.TransactionalID))
	}
	client, err := connect(r, options...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if r.Transaction == "" {
		return nil, client.ProduceSync(ctx, toRecords(r)...).FirstErr()
	}
	if err := client.BeginTransaction(); err != nil {
		return nil, err
	}
	if err := client.ProduceSync(ctx, toRecords(r)...).FirstErr(); err != nil {
		return nil, err
	}
	return nil, client.EndTransaction(ctx, kgo.TransactionEndTry(r.Transaction == "commit"))
}

func balancer(strategy string) kgo.GroupBalancer {
	switch strategy {
	case "roundrobin":
		return kgo.RoundRobinBalancer()
	case "cooperative":
		return kgo.CooperativeStickyBalancer()
	}
	return kgo.RangeBalancer()
}

func consumerOptions(r request, topic string) []kgo.Opt {
	options := []kgo.Opt{
		kgo.ConsumerGroup(r.Group), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(), kgo.SessionTimeout(6 * time.Second), kgo.HeartbeatInterval(500 * time.Millisecond),
		kgo.Balancers(balancer(r.Strategy)),
	}
	if r.Isolation == "read_committed" {
		options = append(options, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	return options
}

func wait(r request) time.Duration {
	if r.WaitMs > 0 {
		return time.Duration(r.WaitMs) * time.Millisecond
	}
	return timeout
}

func consume(r request) (any, error) {
	client, err := connect(r, consumerOptions(r, r.Topic)...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), wait(r))
	defer cancel()
	out, taken := []record{}, []*kgo.Record{}
	for len(out) < r.Count {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			break
		}
		if errs := fetches.Errors(); len(errs) > 0 {
			return nil, errs[0].Err
		}
		fetches.EachRecord(func(got *kgo.Record) {
			if len(out) == r.Count {
				return
			}
			one := record{Key: got.Key, Value: got.Value, Timestamp: got.Timestamp.UnixMilli(), Partition: got.Partition,
				Offset: got.Offset, Headers: [][2]*string{}}
			for _, header := range got.Headers {
				name := header.Key
				one.Headers = append(one.Headers, [2]*string{&name, textOf(header.Value)})
			}
			out, taken = append(out, one), append(taken, got)
		})
	}
	if r.Commit {
		commitCtx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		if err := client.CommitRecords(commitCtx, taken...); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// twoMembers joins a group twice and returns who owns which partitions once both own some and none is owned twice.
func twoMembers(r request) (any, error) {
	var lock sync.Mutex
	owned := []map[int32]bool{{}, {}}
	settled := make(chan struct{}, 64)
	note := func(index int, add bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, changed map[string][]int32) {
			lock.Lock()
			defer lock.Unlock()
			for _, partition := range changed[r.Topic] {
				if add {
					owned[index][partition] = true
				} else {
					delete(owned[index], partition)
				}
			}
			if len(owned[0])+len(owned[1]) == int(r.Partitions) && len(owned[0]) > 0 && len(owned[1]) > 0 {
				select {
				case settled <- struct{}{}:
				default:
				}
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	for index := range owned {
		options := append(consumerOptions(r, r.Topic), kgo.OnPartitionsAssigned(note(index, true)),
			kgo.OnPartitionsRevoked(note(index, false)), kgo.OnPartitionsLost(note(index, false)))
		if len(r.InstanceIDs) == 2 {
			options = append(options, kgo.InstanceID(r.InstanceIDs[index]))
		}
		client, err := connect(r, options...)
		if err != nil {
			return nil, err
		}
		defer client.Close()
		go func() {
			for ctx.Err() == nil {
				client.PollFetches(ctx)
			}
		}()
	}
	select {
	case <-settled:
	case <-ctx.Done():
	}
	lock.Lock()
	defer lock.Unlock()
	out := [][]int32{{}, {}}
	for index, partitions := range owned {
		for partition := range partitions {
			out[index] = append(out[index], partition)
		}
		sort.Slice(out[index], func(a, b int) bool { return out[index][a] < out[index][b] })
	}
	return out, nil
}

// transform reads committed records, writes them on and commits their offsets, all in transactions.
func transform(r request) (any, error) {
	r.Isolation = "read_committed"
	options := append(consumerOptions(r, r.Source), kgo.TransactionalID(r.TransactionalID), kgo.RequireStableFetchOffsets(),
		kgo.AllowAutoTopicCreation())
	session, err := kgo.NewGroupTransactSession(append(options, kgo.SeedBrokers(r.Bootstrap))...)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	for seen := 0; seen < r.Count; {
		fetches := session.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("only %d of %d records came", seen, r.Count)
		}
		if err := session.Begin(); err != nil {
			return nil, err
		}
		promise := kgo.AbortingFirstErrPromise(session.Client())
		fetches.EachRecord(func(got *kgo.Record) {
			seen++
			session.Produce(ctx, &kgo.Record{Topic: r.Sink, Key: got.Key, Value: append([]byte("seen "), got.Value...)}, promise.Promise())
		})
		committed, err := session.End(ctx, promise.Err() == nil)
		if err != nil {
			return nil, err
		}
		if !committed {
			return nil, errors.New("the transaction was aborted")
		}
	}
	return nil, nil
}

func handle(r request) (any, error) {
	switch r.Op {
	case "version":
		info, _ := debug.ReadBuildInfo()
		for _, module := range info.Deps {
			if module.Path == "github.com/twmb/franz-go" {
				return module.Version, nil
			}
		}
		return "unknown", nil
	case "create_topic":
		return admin(r, func(ctx context.Context, a *kadm.Client) (any, error) {
			configs := map[string]*string{}
			for name, value := range r.Configs {
				configs[name] = &value
			}
			_, err := a.CreateTopic(ctx, r.Partitions, 1, configs, r.Topic)
			return nil, err
		})
	case "delete_topic":
		return admin(r, func(ctx context.Context, a *kadm.Client) (any, error) {
			_, err := a.DeleteTopic(ctx, r.Topic)
			return nil, err
		})
	case "topics":
		return admin(r, func(ctx context.Context, a *kadm.Client) (any, error) {
			found, err := a.ListTopics(ctx)
			return found.Names(), err
		})
	case "topic_config":
		return admin(r, func(ctx context.Context, a *kadm.Client) (any, error) {
			found, err := a.DescribeTopicConfigs(ctx, r.Topic)
			if err != nil {
				return nil, err
			}
			one, err := found.On(r.Topic, nil)
			out := map[string]*string{}
			for _, config := range one.Configs {
				out[config.Key] = config.Value
			}
			return out, err
		})
	case "set_topic_config":
		return admin(r, func(ctx context.Context, a *kadm.Client) (any, error) {
			var changes []kadm.AlterConfig
			for name, value := range r.Configs {
				changes = append(changes, kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: &value})
			}
			found, err := a.AlterTopicConfigs(ctx, changes, r.Topic)
			if err == nil {
				_, err = found.On(r.Topic, func(one *kadm.AlterConfigsResponse) error { return one.Err })
			}
			return nil, err
		})
	case "offset_for_time":
		return admin(r, func(ctx context.Context, a *kadm.Client) (any, error) {
			found, err := a.ListOffsetsAfterMilli(ctx, r.Timestamp, r.Topic)
			one, _ := found.Lookup(r.Topic, r.Partition)
			return one.Offset, err
		})
	case "delete_records":
		return admin(r, func(ctx context.Context, a *kadm.Client) (any, error) {
			before := kadm.Offsets{}
			before.AddOffset(r.Topic, r.Partition, r.Offset, -1)
			found, err := a.DeleteRecords(ctx, before)
			if err == nil {
				err = found.Error()
			}
			return nil, err
		})
	case "delete_group":
		return admin(r, func(ctx context.Context, a *kadm.Client) (any, error) {
			found, err := a.DeleteGroup(ctx, r.Group)
			if err == nil {
				err = found.Err
			}
			return nil, err
		})
	case "groups":
		return admin(r, func(ctx context.Context, a *kadm.Client) (any, error) {
			found, err := a.ListGroups(ctx)
			return found.Groups(), err
		})
	case "produce":
		return produce(r)
	case "consume":
		return consume(r)
	case "two_members":
		return twoMembers(r)
	case "transform":
		return transform(r)
	}
	return nil, fmt.Errorf("%w: %s", errors.ErrUnsupported, r.Op)
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 64<<20)
	out := json.NewEncoder(os.Stdout)
	for in.Scan() {
		var r request
		if err := json.Unmarshal(in.Bytes(), &r); err != nil {
			panic(err)
		}
		done, err := handle(r)
		if err != nil {
			var kafka *kerr.Error
			if errors.As(err, &kafka) {
				err = fmt.Errorf("%s: %w", kafka.Message, err)
			}
			_ = out.Encode(map[string]any{"error": err.Error()})
			continue
		}
		_ = out.Encode(map[string]any{"ok": done})
	}
}
