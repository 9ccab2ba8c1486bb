//go:build race

package ring

func init() { racing = true }
