//go:build race

package httpapi

func init() { racing = true }
