package machine

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"bluerings/bench/measure"
)

// The time that each half of a calibration takes.
const calibrationTime = 300 * time.Millisecond

// Calibrate measures the bare machine: one core, and the disk that dir is on.
func Calibrate(dir string) (measure.Calibration, error) {
	cpu := hashRate()
	syncs, err := Fdatasyncs(dir, calibrationTime)
	if err != nil {
		return measure.Calibration{}, err
	}
	return measure.Calibration{CPU: cpu, Fdatasync: float64(len(syncs)) / calibrationTime.Seconds()}, nil
}

// hashRate is how many MB of SHA-256 one core makes in a second.
func hashRate() float64 {
	var block [1024]byte
	began, n := time.Now(), 0
	for time.Since(began) < calibrationTime {
		for range 100 {
			sum := sha256.Sum256(block[:])
			copy(block[:], sum[:])
		}
		n += 100
	}
	return float64(n*len(block)) / 1e6 / time.Since(began).Seconds()
}

// Fdatasyncs appends 4 KiB and syncs, again and again for a while, and returns how long each took.
func Fdatasyncs(dir string, d time.Duration) ([]time.Duration, error) {
	path := filepath.Join(dir, "fdatasync")
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(path) }()
	defer f.Close()
	block := make([]byte, 4096)
	var took []time.Duration
	for began := time.Now(); time.Since(began) < d; {
		start := time.Now()
		if _, err := f.Write(block); err != nil {
			return nil, err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return nil, err
		}
		took = append(took, time.Since(start))
	}
	return took, nil
}

func blocks(info os.FileInfo) int64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Blocks * 512
	}
	return info.Size()
}
