package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

var errNoExpire = errors.New("--expire is needed: a time, a duration such as 720h or 30d, or never")

// takesAmount marks commands one of whose arguments may be a negative number.
const takesAmount = "takes-amount"

// shieldAmounts moves the arguments that are negative numbers behind a "--", where they are not
// taken for flags. They must come after all other arguments of the command, as AMOUNT does.
func shieldAmounts(root *cobra.Command, args []string) []string {
	cmd, _, err := root.Find(args)
	if err != nil || cmd.Annotations[takesAmount] == "" || slices.Contains(args, "--") {
		return args
	}
	var plain, amounts []string
	for i, arg := range args {
		if negative(arg) && !(i > 0 && takesValue(cmd, args[i-1])) {
			amounts = append(amounts, arg)
			continue
		}
		plain = append(plain, arg)
	}
	if len(amounts) == 0 {
		return args
	}
	return append(append(plain, "--"), amounts...)
}

// negative reports whether an argument looks like a negative number: no flag begins with a digit.
func negative(arg string) bool {
	digits, ok := strings.CutPrefix(arg, "-")
	digits = strings.TrimPrefix(digits, ".")
	return ok && digits != "" && '0' <= digits[0] && digits[0] <= '9'
}

// takesValue reports whether an argument is a flag whose value is the next argument.
func takesValue(cmd *cobra.Command, arg string) bool {
	if strings.Contains(arg, "=") {
		return false
	}
	if name, ok := strings.CutPrefix(arg, "--"); ok {
		f := cmd.Flags().Lookup(name)
		return f != nil && f.NoOptDefVal == ""
	}
	if len(arg) == 2 && arg[0] == '-' {
		f := cmd.Flags().ShorthandLookup(arg[1:])
		return f != nil && f.NoOptDefVal == ""
	}
	return false
}
