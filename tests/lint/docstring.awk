# SPDX-License-Identifier: Apache-2.0
# A prototype in a header needs a comment right before it (or a group comment above its run of
# prototypes); one that is marked MUST and returns int needs "Errors:" in that comment.
FNR == 1 { comment = ""; in_comment = 0; fresh = 0 }
/^\/\*/ { comment = ""; in_comment = 1 }
in_comment { comment = comment "\n" $0; if (/\*\//) { in_comment = 0; fresh = 1 } next }
/^$/ { next }
# The end of an inline body or a struct: what follows needs its own words.
/^}/ { fresh = 0; next }
/^(MUST )?(const |struct |unsigned |enum )*[a-z_0-9]+ \**[a-z_0-9]+\(/ && !/^static|^return|^typedef|^#/ {
	# Names of one family may share a comment: put_u8, put_u16 ...
	if (comment == "") print FILENAME ":" FNR ": no comment: " $0
	else if (/^MUST int/ && comment !~ /Errors?:/) print FILENAME ":" FNR ": comment lacks Errors: " $0
}
