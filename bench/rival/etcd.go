package rival

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"bluerings/bench/machine"
)

// Etcd is a server of one member.
type Etcd struct {
	*machine.Process
	addr string
}

// serveEtcd is the process.
func serveEtcd(ctx context.Context, dir string, listening func(string)) error {
	ports, err := machine.Ports(2)
	if err != nil {
		return err
	}
	at := func(port int) []url.URL { return []url.URL{{Scheme: "http", Host: "127.0.0.1:" + strconv.Itoa(port)}} }
	c := embed.NewConfig()
	c.Dir, c.LogLevel, c.QuotaBackendBytes = filepath.Join(dir, "etcd"), "error", 8<<30
	c.ListenClientUrls, c.AdvertiseClientUrls = at(ports[0]), at(ports[0])
	c.ListenPeerUrls, c.AdvertisePeerUrls = at(ports[1]), at(ports[1])
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	e, err := embed.StartEtcd(c)
	if err != nil {
		return err
	}
	defer e.Close()
	select {
	case <-e.Server.ReadyNotify():
	case err := <-e.Err():
		return err
	}
	listening(at(ports[0])[0].Host)
	select {
	case <-ctx.Done():
		return nil
	case err := <-e.Err():
		return err
	}
}

// StartEtcd starts the process.
func StartEtcd(ctx context.Context, dir string) (*Etcd, error) {
	p, addr, err := startChild(ctx, "etcd", dir)
	return &Etcd{Process: p, addr: addr}, err
}

// Increment reads a random counter and writes it back if nobody else did meanwhile, again and
// again until that succeeds, from so many callers.
func (e *Etcd) Increment(ctx context.Context, callers, counters int, d time.Duration) (Rate, error) {
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{e.addr}, DialTimeout: 10 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		return Rate{}, err
	}
	defer func() { _ = c.Close() }()
	return drive(ctx, callers, d, func(ctx context.Context, _ int) error {
		return add(ctx, c, fmt.Sprintf("tenant-%013d", rand.IntN(counters)), 7)
	})
}

func add(ctx context.Context, c *clientv3.Client, key string, amount int64) error {
	for {
		got, err := c.Get(ctx, key)
		if err != nil {
			return err
		}
		var value, revision int64
		if len(got.Kvs) > 0 {
			revision = got.Kvs[0].ModRevision
			if value, err = strconv.ParseInt(strings.TrimSpace(string(got.Kvs[0].Value)), 10, 64); err != nil {
				return err
			}
		}
		done, err := c.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", revision)).
			Then(clientv3.OpPut(key, strconv.FormatInt(value+amount, 10))).Commit()
		if err != nil || done.Succeeded {
			return err
		}
	}
}
