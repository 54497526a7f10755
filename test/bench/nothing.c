/* The peer of "make bench": a milter that does nothing but answer the end of each message with what it is told on its
 * command line, "discard" or "accept". */
#include <libmilter/mfapi.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static sfsistat verdict = SMFIS_CONTINUE;

static sfsistat end(SMFICTX *ctx)
{
	(void)ctx;
	return verdict;
}

int main(int argc, char **argv)
{
	struct smfiDesc milter = {
		.xxfi_name = "nothing",
		.xxfi_version = SMFI_VERSION,
		.xxfi_eom = end,
	};

	if (argc != 3) {
		fprintf(stderr, "usage: nothing inet:PORT@HOST discard|accept\n");
		return EX_USAGE;
	}
	if (strcmp(argv[2], "discard") == 0)
		verdict = SMFIS_DISCARD;
	if (smfi_setconn(argv[1]) != MI_SUCCESS || smfi_register(milter) != MI_SUCCESS)
		return EX_SOFTWARE;
	return smfi_main() == MI_SUCCESS ? EX_OK : EX_SOFTWARE;
}
