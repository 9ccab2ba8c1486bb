//go:build nodewired

package main
