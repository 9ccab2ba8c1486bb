package rival

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"time"

	"bluerings/bench/machine"
)

// Postgres is a server of our own, in a cluster of its own.
type Postgres struct {
	*machine.Process
	bin  string
	dir  string
	port int
	as   *syscall.Credential // it refuses to run as root
}

// postgresBin is the directory of the newest PostgreSQL's programs: Debian keeps them out of PATH.
func postgresBin() string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) > 0 {
		return filepath.Dir(slices.Max(found))
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path)
	}
	return ""
}

// StartPostgres makes a cluster in dir and starts it, with its defaults for durability (fsync and
// synchronous_commit on) and more room than the defaults for its cache and its log.
func StartPostgres(ctx context.Context, dir string) (*Postgres, error) {
	p := &Postgres{bin: postgresBin(), dir: dir}
	if err := p.owner(); err != nil {
		return nil, err
	}
	ports, err := machine.Ports(1)
	if err != nil {
		return nil, err
	}
	p.port = ports[0]
	data := filepath.Join(dir, "data")
	if _, err := machine.Run(ctx, p.command("initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C")); err != nil {
		return nil, err
	}
	server := p.command("postgres", "-D", data, "-p", strconv.Itoa(p.port), "-k", dir, "-c", "listen_addresses=127.0.0.1",
		"-c", "fsync=on", "-c", "synchronous_commit=on", "-c", "shared_buffers=512MB", "-c", "max_wal_size=8GB")
	if p.Process, err = machine.Start("postgres", server, nil); err != nil {
		return nil, err
	}
	for began := time.Now(); ; {
		if _, err = machine.Run(ctx, p.command("pg_isready", p.at()...)); err == nil {
			return p, nil
		}
		if time.Since(began) > time.Minute || ctx.Err() != nil {
			p.Stop()
			return nil, err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// owner makes the directory and, where this runs as root, gives it to the user of the server.
func (p *Postgres) owner() error {
	if err := os.MkdirAll(p.dir, 0o755); err != nil || os.Geteuid() != 0 {
		return err
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	p.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(p.dir, uid, gid)
}

// at are the flags that say where the server is.
func (p *Postgres) at(more ...string) []string {
	return append([]string{"-h", "127.0.0.1", "-p", strconv.Itoa(p.port), "-U", "postgres"}, more...)
}

func (p *Postgres) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.bin, program), args...)
	cmd.Dir = p.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.as}
	return cmd
}

// Fill makes a table of so many counters.
func (p *Postgres) Fill(ctx context.Context, counters int) error {
	for _, statement := range []string{
		"CREATE TABLE counters (name text PRIMARY KEY, value bigint NOT NULL)",
		fmt.Sprintf("INSERT INTO counters SELECT 'tenant-' || lpad(i::text, 13, '0'), 0 FROM generate_series(0, %d) AS i", counters-1),
		"VACUUM ANALYZE counters", "CHECKPOINT",
	} {
		if _, err := machine.Run(ctx, p.command("psql", p.at("-d", "postgres", "-v", "ON_ERROR_STOP=1", "-c", statement)...)); err != nil {
			return err
		}
	}
	return nil
}

// upsert is what pgbench repeats.
const upsert = `\set k random(0, %d)
INSERT INTO counters VALUES ('tenant-' || lpad(:k::text, 13, '0'), 7)
  ON CONFLICT (name) DO UPDATE SET value = counters.value + 7;
`

// Increment runs pgbench: upserts of random counters by so many clients, each a transaction.
func (p *Postgres) Increment(ctx context.Context, clients, counters int, d time.Duration) (Rate, error) {
	script := filepath.Join(p.dir, "upsert.sql")
	if err := os.WriteFile(script, fmt.Appendf(nil, upsert, counters-1), 0o644); err != nil {
		return Rate{}, err
	}
	out, err := machine.Run(ctx, p.command("pgbench", p.at("-n", "-M", "prepared", "-c", strconv.Itoa(clients), "-j", "2",
		"-T", strconv.Itoa(max(1, int(d.Seconds()))), "-f", script, "postgres")...))
	if err != nil {
		return Rate{}, err
	}
	return pgbenchRate(out)
}

var tps = regexp.MustCompile(`(?m)^tps = ([0-9.]+)`)

func pgbenchRate(out string) (Rate, error) {
	m := tps.FindStringSubmatch(out)
	if m == nil {
		return Rate{}, fmt.Errorf("pgbench: no tps in %q", out)
	}
	rate, err := strconv.ParseFloat(m[1], 64)
	return Rate{PerSecond: rate}, err
}
