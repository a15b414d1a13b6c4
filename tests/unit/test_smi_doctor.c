// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * aipu-smi doctor's checks fed with facts that neither a captured machine nor a guest has at will; its parsers; what report takes
 * out of a text. GPL as the code that it is linked with.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aipu-smi/doctor.h"
#include "aipu-smi/report.h"
#include "aipu_registers.h"

#define PCI "0000:03:00.0"

/* --- checks --------------------------------------------------------------------------------------- */

/* A machine on which all is well, with one card */
static void make_well(struct doctor_facts *facts, struct doctor_card *card)
{
	*card = (struct doctor_card){
		.pci = { .pci = PCI,
			 .command = 6,
			 .driver = CARD_DRIVER,
			 .node = "/dev/accel/accel0",
			 .bar_start = { 1 << 20, 0, 1 << 30 },
			 .bar_bytes = { 1 << 16, 0, 1 << 30 },
			 .iommu_group = 3 },
		.registers = { .unread = "a driver is bound" },
		.node = { .is_device = true,
			  .want_major = -1,
			  .want_minor = -1,
			  .group_name = "render" },
		.open = { .tried = true,
			  .info = { .abi_oldest = AIPU_ABI_OLDEST,
				    .abi_newest = AIPU_ABI_CURRENT,
				    .abi_in_use = AIPU_ABI_CURRENT,
				    .operations = 0xff,
				    .capabilities = AIPU_CAP_GELU,
				    .formats = 0x1e,
				    .max_lanes = 8,
				    .memory_bytes = 2000,
				    .memory_free = 1000 },
			  .telemetry = { .temperature_mc = 89999,
					 .throttle_mc = 90000,
					 .shutdown_mc = 105000 } },
	};
	*facts = (struct doctor_facts){
		.machine = { .pci_cards = 1,
			     .kernel = "6.12.0",
			     .module = { .loaded = true, .sig_enforce = 0 },
			     .process = { .uid = 1000,
					  .user = "joe",
					  .memlock = UINT64_MAX,
					  .memlock_hard = UINT64_MAX,
					  .uring_group = -1 } },
		.cards = card,
		.card_count = 1,
		.qpc = { .path = "model",
			 .abi_oldest = AIPU_ABI_OLDEST,
			 .abi_newest = AIPU_ABI_CURRENT,
			 .operations = 0x0f,
			 .capabilities = AIPU_CAP_GELU,
			 .formats = 0x12,
			 .weights = 400,
			 .constants = 100,
			 .kv = 300,
			 .other = 200,
			 .lanes = 8 },
	};
}

static void expect_result(const struct doctor_facts *facts, const char *check,
			  enum doctor_status status, int code, const char *text)
{
	struct doctor_report report;
	bool found = false;

	assert_true(doctor_run(facts, &report));
	for (size_t i = 0; i < report.count; i++) {
		const struct doctor_result *result = &report.lines[i].result;

		if (strcmp(report.lines[i].check->name, check)) {
			if (result->status == DOCTOR_PROBLEM)
				fail_msg("%s: %s", report.lines[i].check->name, result->text);
			continue;
		}
		found = true;
		if (result->status != status || result->code != code || !strstr(result->text, text))
			fail_msg("%s: status %d, code %d: %s", check, result->status, result->code,
				 result->text);
	}
	assert_true(found);
	assert_int_equal(report.code, status == DOCTOR_PROBLEM ? code : 0);
	doctor_report_free(&report);
}

/* The check's first line has this text, as people see it */
static void expect_line(const struct doctor_facts *facts, const char *check, const char *text)
{
	struct doctor_report report;
	char *out = NULL, *line, *end;
	char front[64];
	size_t bytes;
	FILE *to = open_memstream(&out, &bytes);

	assert_true(doctor_run(facts, &report));
	doctor_print(&report, to);
	assert_int_equal(fclose(to), 0);
	snprintf(front, sizeof(front), "  %s ", check);
	line = strstr(out, front);
	assert_non_null(line);
	end = strchr(line, '\n');
	assert_non_null(end);
	end[1] = '\0';
	if (!strstr(line, text))
		fail_msg("%s", line);
	/* A device's name is not there twice */
	assert_null(strstr(line, "soft: soft:"));
	assert_null(strstr(line, PCI ": " PCI ":"));
	free(out);
	doctor_report_free(&report);
}

static void all_is_well(void **state)
{
	struct doctor_facts facts;
	struct doctor_card card;
	struct doctor_report report;

	(void)state;
	make_well(&facts, &card);
	assert_true(doctor_run(&facts, &report));
	assert_int_equal(report.count, doctor_check_count);
	assert_int_equal(report.code, 0);
	for (size_t i = 0; i < report.count; i++)
		if (strcmp(report.lines[i].check->name, "slots") &&
		    strcmp(report.lines[i].check->name, "link"))
			assert_int_equal(report.lines[i].result.status, DOCTOR_OK);
	doctor_report_free(&report);
}

static void a_card_that_does_not_work(void **state)
{
	struct doctor_facts facts;
	struct doctor_card card;

	(void)state;
	make_well(&facts, &card);
	card.open.info.state = AIPU_DEVICE_WEDGED;
	card.open.info.resets = 5;
	expect_result(&facts, "open", DOCTOR_PROBLEM, SMI_NOT_ANSWERING, "wedged");
	card.open.info.state = AIPU_DEVICE_RESETTING;
	expect_result(&facts, "open", DOCTOR_WARNING, 0, "being reset now");
	make_well(&facts, &card);
	facts.qpc.path = NULL;
	card.open.error = -ENODEV;
	expect_result(&facts, "open", DOCTOR_PROBLEM, SMI_NOT_ANSWERING, "No such device");
	card.open.error = -EACCES;
	expect_result(&facts, "open", DOCTOR_PROBLEM, CLI_NO_PERMISSION, "Permission denied");
	card.open.error = -EPROTO;
	strcpy(card.open.message, "versions do not overlap");
	expect_result(&facts, "open", DOCTOR_PROBLEM, CLI_FAILED, "versions do not overlap");
	/* The line has the device's name already */
	strcpy(card.open.message, PCI ": versions do not overlap");
	expect_line(&facts, "open", PCI ": versions do not overlap\n");
	card.soft = true;
	strcpy(card.open.message, "soft: firmware refused");
	expect_line(&facts, "open", "soft: firmware refused\n");
}

static void a_card_that_is_too_hot(void **state)
{
	static const char *const lines[] = {
		CARD_DRIVER " " PCI ": [drm] Card, firmware 1.0.0, contract 1.0",
		CARD_DRIVER " " PCI ": [drm] the card is too hot: resetting the card, all is lost",
		CARD_DRIVER " " PCI ": [drm] *ERROR* the card did not come back",
		CARD_DRIVER " " PCI ": [drm] asked for by an administrator: resetting the card",
		CARD_DRIVER " " PCI ": [drm] the card failed: resetting the card, all is lost",
		CARD_DRIVER " 0000:04:00.0: [drm] the card is too hot: resetting the card",
	};
	struct cardlog_line log[6] = { { .level = 4 } };
	struct doctor_facts facts;
	struct doctor_card card;

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		log[i].level = i == 2 ? 3 : 4;
		snprintf(log[i].text, sizeof(log[i].text), "%s", lines[i]);
	}
	make_well(&facts, &card);
	expect_result(&facts, "temperature", DOCTOR_OK, 0, "90.0 C");
	card.open.telemetry.temperature_mc = 90000;
	expect_result(&facts, "temperature", DOCTOR_WARNING, 0,
		      "slowed down from 90.0 C on, and off from 105.0 C on");
	card.open.telemetry.temperature_mc = AIPU_UNKNOWN;
	expect_result(&facts, "temperature", DOCTOR_NOT_CHECKED, 0, "not known");
	card.open.telemetry.temperature_mc = 40000;
	facts.machine.log.lines = log;
	facts.machine.log.count = 4;
	/* It cooled down, and came back */
	expect_result(&facts, "temperature", DOCTOR_OK, 0, "40.0 C");
	card.open.info.state = AIPU_DEVICE_WEDGED;
	expect_result(&facts, "temperature", DOCTOR_PROBLEM, SMI_NOT_ANSWERING, "too hot");
	expect_line(&facts, "temperature", "; do: ");
	expect_line(&facts, "temperature", "aipu-smi reset -i " PCI "\n");
	facts.machine.log.count = 2;
	expect_result(&facts, "temperature", DOCTOR_PROBLEM, SMI_NOT_ANSWERING, "too hot");
	/* For another reason, and another card */
	facts.machine.log.count = 6;
	expect_result(&facts, "open", DOCTOR_PROBLEM, SMI_NOT_ANSWERING, "wedged");
	facts.machine.log.count = 0;
	facts.machine.log.error = EPERM;
	expect_result(&facts, "open", DOCTOR_PROBLEM, SMI_NOT_ANSWERING, "only root can read");
}

static void io_uring_that_is_refused(void **state)
{
	struct doctor_facts facts;
	struct doctor_card card;

	(void)state;
	make_well(&facts, &card);
	facts.machine.process.uring_error = ENOSYS;
	expect_result(&facts, "io_uring", DOCTOR_WARNING, 0, "this kernel has no io_uring");
	facts.machine.process.uring_error = EPERM;
	expect_result(&facts, "io_uring", DOCTOR_WARNING, 0, "by a filter of system calls");
	facts.machine.process.uring_disabled = 1;
	expect_result(&facts, "io_uring", DOCTOR_WARNING, 0,
		      "io_uring_disabled is 1, and no group");
	facts.machine.process.uring_group = 7;
	expect_result(&facts, "io_uring", DOCTOR_WARNING, 0, "the user is not in its group");
	/* Of the group, or root */
	facts.machine.process.uring_error = 0;
	expect_result(&facts, "io_uring", DOCTOR_OK, 0, "works");
}

static void pages_that_may_not_be_locked(void **state)
{
	struct doctor_facts facts;
	struct doctor_card card;

	(void)state;
	make_well(&facts, &card);
	facts.machine.process.memlock = 4095;
	expect_result(&facts, "memlock", DOCTOR_PROBLEM, CLI_FAILED, "not a page");
	facts.machine.process.memlock = 4096;
	expect_result(&facts, "memlock", DOCTOR_WARNING, 0, "4 KiB of memory");
	facts.machine.process.memlock = (4 << 20) - 1;
	expect_result(&facts, "memlock", DOCTOR_WARNING, 0, "4096 are wanted");
	facts.machine.process.memlock = 4 << 20;
	expect_result(&facts, "memlock", DOCTOR_OK, 0, "4096 KiB");
	facts.machine.process.memlock = 0;
	facts.machine.process.may_lock = true;
	expect_result(&facts, "memlock", DOCTOR_OK, 0, "without limit");
}

static void models_that_do_not_fit(void **state)
{
	struct doctor_facts facts;
	struct doctor_card card;

	(void)state;
	make_well(&facts, &card);
	expect_result(&facts, "qpc-memory", DOCTOR_OK, 0, "1000 bytes of device memory");
	card.open.info.memory_free = 999;
	expect_result(&facts, "qpc-memory", DOCTOR_PROBLEM, CLI_FAILED, "others use it");
	card.open.info.memory_bytes = 999;
	expect_result(&facts, "qpc-memory", DOCTOR_PROBLEM, CLI_FAILED, "smaller --ctx-len");
	/* Of a device that computes from host memory only the rest counts. */
	card.open.info.capabilities |= AIPU_CAP_UMA;
	expect_result(&facts, "qpc-memory", DOCTOR_OK, 0, "500 bytes of device memory");
	facts.qpc.kv = UINT64_MAX;
	expect_result(&facts, "qpc-memory", DOCTOR_PROBLEM, CLI_FAILED, "smaller --ctx-len");
	card.open.info.memory_free = UINT64_MAX;
	expect_result(&facts, "qpc-memory", DOCTOR_NOT_CHECKED, 0, "does not tell");

	make_well(&facts, &card);
	facts.qpc.operations |= 1u << 9 | 1u << 19;
	expect_result(&facts, "qpc-program", DOCTOR_PROBLEM, CLI_FAILED, "operations 9, 19 (");
	facts.qpc.capabilities |= AIPU_CAP_SINKS;
	facts.qpc.formats |= 1u << 5;
	expect_result(&facts, "qpc-program", DOCTOR_PROBLEM, CLI_FAILED,
		      "operations 9, 19; capabilities 22; weight formats 5 (");
	make_well(&facts, &card);
	facts.qpc.lanes = 9;
	expect_result(&facts, "qpc-program", DOCTOR_PROBLEM, CLI_FAILED, "9 lanes (it has 8)");

	make_well(&facts, &card);
	facts.qpc.abi_oldest = facts.qpc.abi_newest = AIPU_ABI_VERSION(1, 3);
	expect_result(&facts, "qpc-contract", DOCTOR_PROBLEM, CLI_FAILED, "newer firmware");
	facts.qpc.abi_oldest = facts.qpc.abi_newest = AIPU_ABI_VERSION(0, 3);
	expect_result(&facts, "qpc-contract", DOCTOR_PROBLEM, CLI_FAILED, "compile it again");
}

/* A machine's problem leaves out what comes after it; one card's leaves the other alone. */
static void one_problem_leaves_out_its_consequences(void **state)
{
	struct doctor_facts facts;
	struct doctor_card cards[2];
	struct doctor_report report;
	unsigned int first = 0, second = 0;

	(void)state;
	make_well(&facts, &cards[0]);
	cards[1] = cards[0];
	facts.cards = cards;
	facts.card_count = 2;
	cards[0].pci.command = 0xffff;
	assert_true(doctor_run(&facts, &report));
	assert_int_equal(report.code, SMI_NOT_ANSWERING);
	for (size_t i = 0; i < report.count; i++) {
		bool left_out = !strcmp(report.lines[i].result.text, "a problem above comes first");

		first += left_out && report.lines[i].card == &cards[0];
		second += left_out && report.lines[i].card == &cards[1];
	}
	assert_int_equal(first, 4);
	assert_int_equal(second, 0);
	doctor_report_free(&report);
}

/* --- what to type --------------------------------------------------------------------------------- */

static void words_for_a_shell(void **state)
{
	static const char *const words[][2] = {
		{ "/etc/x.conf", "/etc/x.conf" },
		{ "", "''" },
		{ "a b", "'a b'" },
		{ "it's", "'it'\\''s'" },
		{ "$(x)", "'$(x)'" },
		{ "~", "'~'" },
		{ "a\033\n'\\%b", "\"$(printf 'a\\033\\012\\047\\134\\045b')\"" },
		{ "\377", "\"$(printf '\\377')\"" },
	};
	struct doctor_result result = { 0 };
	char text[64], name[DOCTOR_REMEDY];

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		assert_true(doctor_quote(text, sizeof(text), words[i][0]));
		assert_string_equal(text, words[i][1]);
	}
	assert_false(doctor_quote(text, sizeof(text), "a\n"));
	assert_false(doctor_quote(text, 4, "abcd"));
	assert_true(doctor_quote(text, 5, "abcd"));
	doctor_remedy_script(&result, true, "rm %s; x %u %c", "a b", 7u, 'z');
	assert_string_equal(result.remedy, "sh -c 'rm '\\''a b'\\''; x 7 z'");
	assert_true(result.as_root);
	/* None rather than half of one */
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	doctor_remedy(&result, false, "rm %s", name);
	assert_string_equal(result.remedy, "");
	doctor_remedy(&result, false, "rm %s", "a\n");
	assert_string_equal(result.remedy, "");
}

/* --- parsers -------------------------------------------------------------------------------------- */

static void records_of_the_log(void **state)
{
	static const char *const bad[] = { "",
					   "6",
					   "6,1,2",
					   "6,1,2;x",
					   "x,1,2,-;t",
					   "-6,1,2,-;t",
					   "6,1,2,-",
					   " SUBSYSTEM=pci",
					   "14,1,2,-;user",
					   "1000,1,2,-;t",
					   "6,1,99999999999999999999,-;t" };
	static const char good[] =
		"3,77,5000001,-,caller=T1;aipu_accel 0000:03:00.0: a\x1b;b  \nrest";
	struct cardlog_line line;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (cardlog_parse(bad[i], strlen(bad[i]), &line))
			fail_msg("taken: %s", bad[i]);
	assert_true(cardlog_parse(good, strlen(good), &line));
	assert_int_equal(line.level, 3);
	assert_int_equal(line.microseconds, 5000001);
	assert_string_equal(line.text, "aipu_accel 0000:03:00.0: a?;b");
}

static void lines_that_concern_a_card(void **state)
{
	struct card card = { .pci = PCI };
	struct card_list cards = { &card, 1 };

	(void)state;
	assert_true(cardlog_concerns("aipu_accel: loading", &cards));
	assert_true(cardlog_concerns("aipu_accel 0000:09:00.0: of a card that left", &cards));
	assert_true(cardlog_concerns("pci " PCI ": BAR 2: no space", &cards));
	assert_false(cardlog_concerns("aipu_accelerate: x", &cards));
	assert_false(cardlog_concerns("pci 0000:03:00.1: x", &cards));
	assert_false(cardlog_concerns("pci x " PCI ": x", &cards));
	assert_false(cardlog_concerns(" " PCI, &cards));
	assert_false(cardlog_concerns("", &cards));
}

static void modules_and_lists(void **state)
{
	static const char file[] = "x\0vermagic=6.12.1 SMP \0y~Module signature appended~\n";
	static const char dep[] = "a/b.ko: c\naipu_accel.ko.xz: a/b.ko";
	char text[64];
	bool blocked;

	(void)state;
	assert_true(doctor_vermagic(file, sizeof(file) - 1, text, sizeof(text)));
	assert_string_equal(text, "6.12.1 SMP");
	/* Its end is not there. */
	assert_false(doctor_vermagic(file, 20, text, sizeof(text)));
	assert_true(doctor_module_signed(file, sizeof(file) - 1));
	assert_false(doctor_module_signed(file, sizeof(file) - 2));
	assert_true(doctor_modules_dep(dep, sizeof(dep) - 1, CARD_DRIVER, text, sizeof(text)));
	assert_string_equal(text, "aipu_accel.ko.xz");
	assert_false(doctor_modules_dep(dep, 12, CARD_DRIVER, text, sizeof(text)));
#define LIST(list) doctor_blacklisted(list, sizeof(list) - 1, CARD_DRIVER, &blocked)
	assert_true(LIST("#\n blacklist\taipu-accel"));
	assert_false(blocked);
	assert_false(LIST("#blacklist aipu_accel\nblacklist aipu_accel2\nblacklist\naipu_accel"));
	assert_true(LIST("install aipu_accel /usr/bin/true\n"));
	assert_true(blocked);
	assert_false(LIST("install aipu_accel /sbin/modprobe -i aipu_accel"));
#undef LIST
#define LINE(line) doctor_command_line(line, sizeof(line) - 1, "module_blacklist", CARD_DRIVER)
	assert_true(LINE("a module_blacklist=b,,aipu-accel"));
	assert_false(LINE("xmodule_blacklist=aipu_accel module_blacklist= module_blacklist"));
#undef LINE
}

/* --- what is taken out ---------------------------------------------------------------------------- */

static void expect_redacted(const struct redact *redact, const char *text, const char *expected)
{
	char *out = redact_text(redact, text, strlen(text));

	assert_non_null(out);
	assert_string_equal(out, expected);
	free(out);
}

static void private_words_are_taken_out(void **state)
{
	struct redact redact = { 0 };

	(void)state;
	redact_add(&redact, "web", "[host]");
	redact_add(&redact, "web.corp.example", "[host]");
	redact_add(&redact, "ann", "[user]");
	redact_add(&redact, "/data/ann", "[home]");
	redact_add(&redact, "", "[user]");
	assert_false(redact.failed);
	expect_redacted(&redact, "web WEB.x.y web-2 webs myweb web.",
			"[host] [host] [host]-2 webs myweb [host].");
	expect_redacted(&redact, "web.corp.example: ann, Ann; annex",
			"[host]: [user], [user]; annex");
	expect_redacted(&redact, "\"/data/ann/a b\" /data/annex /xx/data/ann",
			"\"[home] b\" /data/annex /xx[home]");
	expect_redacted(&redact, "/home/x/y:/home/ /home", "[home]:/home/ /home");
	redact_free(&redact);
}

static void addresses_are_taken_out(void **state)
{
	const struct redact none = { 0 };

	(void)state;
	expect_redacted(&none, "10.1.2.3 10.1.2.3:80 10.1.2 10.1.2.3.4 1.2.3.256",
			"[ip] [ip]:80 10.1.2 10.1.2.3.4 1.2.3.256");
	expect_redacted(&none, "fe80::1 [2001:db8::]:80 ::1 :: a::, 12:34:56",
			"[ip] [[ip]]:80 [ip] :: [ip], 12:34:56");
	expect_redacted(&none, "02:00:00:aa:bb:cc 02-00-00-aa-bb-cc 02:00:00:aa:bb",
			"[mac] [mac] 02:00:00:aa:bb");
	expect_redacted(&none, "00-11-22-33-44-55-66-77 x02:00:00:aa:bb:cc",
			"[mac] x02:00:00:aa:bb:cc");
	/* What a report is full of stays. */
	expect_redacted(&none, "ann.x+1@corp.example, <a_b@c>; mail:x@y.z. @ a@ @b a @ b",
			"[email], <[email]>; mail:[email]. @ a@ @b a @ b");
	expect_redacted(&none, "0000:01:00.0: 0x38_00000000 6.12.95-1 1af4:10f0 00:1c.0",
			"0000:01:00.0: 0x38_00000000 6.12.95-1 1af4:10f0 00:1c.0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_is_well),
		cmocka_unit_test(a_card_that_does_not_work),
		cmocka_unit_test(a_card_that_is_too_hot),
		cmocka_unit_test(io_uring_that_is_refused),
		cmocka_unit_test(pages_that_may_not_be_locked),
		cmocka_unit_test(models_that_do_not_fit),
		cmocka_unit_test(one_problem_leaves_out_its_consequences),
		cmocka_unit_test(words_for_a_shell),
		cmocka_unit_test(records_of_the_log),
		cmocka_unit_test(lines_that_concern_a_card),
		cmocka_unit_test(modules_and_lists),
		cmocka_unit_test(private_words_are_taken_out),
		cmocka_unit_test(addresses_are_taken_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
