// SPDX-License-Identifier: MIT
/*
 * Faults of aipu-emu: how one is written, that each strikes at its N and only there, and what a driver then sees.
 * What they do inside the device is in test_device_faults.c.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "aipu_status.h"
#include "cli.h"
#include "emu_rig.h"

static const struct aipu_job nop = { .opcode = AIPU_JOB_NOP, .id = 7 };

/* --- how one is written ------------------------------------------------------------------------------- */

static void good_texts(void **state)
{
	static const struct {
		const char *text;
		struct emu_fault fault;
	} good[] = {
		{ "hang@1", { EMU_FAULT_HANG, 1, 0 } },
		{ "slow-job@3", { EMU_FAULT_SLOW_JOB, 3, 5000 } },
		{ "slow-job@3:1", { EMU_FAULT_SLOW_JOB, 3, 1 } },
		{ "lost-interrupt@18446744073709551615",
		  { EMU_FAULT_LOST_INTERRUPT, UINT64_MAX, 0 } },
		{ "interrupt-storm@2", { EMU_FAULT_INTERRUPT_STORM, 2, 100000 } },
		{ "interrupt-storm@2:1000000", { EMU_FAULT_INTERRUPT_STORM, 2, 1000000 } },
		{ "bad-completion@9", { EMU_FAULT_BAD_COMPLETION, 9, 0 } },
		{ "bad-completion@9:2", { EMU_FAULT_BAD_COMPLETION, 9, 2 } },
		{ "corrupt-reply@4:1", { EMU_FAULT_CORRUPT_REPLY, 4, 1 } },
		{ "event@6", { EMU_FAULT_EVENT, 6, 0 } },
		{ "fatal-error@010", { EMU_FAULT_FATAL_ERROR, 10, 0 } },
		{ "all-ones@100", { EMU_FAULT_ALL_ONES, 100, 0 } },
		{ "slow-boot@1:600000", { EMU_FAULT_SLOW_BOOT, 1, 600000 } },
		{ "boot-failure@1", { EMU_FAULT_BOOT_FAILURE, 1, AIPU_ERROR_FIRMWARE_DIGEST } },
		{ "boot-failure@1:15", { EMU_FAULT_BOOT_FAILURE, 1, AIPU_ERROR_FATAL } },
		{ "power-cut@2", { EMU_FAULT_POWER_CUT, 2, 0 } },
		{ "flash-cut@3", { EMU_FAULT_FLASH_CUT, 3, 0 } },
		{ "flash-cut@3:700", { EMU_FAULT_FLASH_CUT, 3, 700 } },
		{ "memory-error@4", { EMU_FAULT_MEMORY_ERROR, 4, 0 } },
		{ "memory-error@4:1", { EMU_FAULT_MEMORY_ERROR, 4, 1 } },
		{ "ambient@5", { EMU_FAULT_AMBIENT, 5, 95 } },
		{ "ambient@5:0", { EMU_FAULT_AMBIENT, 5, 0 } },
		{ "ambient@5:150", { EMU_FAULT_AMBIENT, 5, 150 } },
		{ "load-ambient@2", { EMU_FAULT_LOAD_AMBIENT, 2, 25 } },
		{ "load-ambient@2:150", { EMU_FAULT_LOAD_AMBIENT, 2, 150 } },
	};
	unsigned int seen = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct emu_fault fault = { 0 };

		assert_null(emu_fault_parse(good[i].text, &fault));
		assert_int_equal(fault.kind, good[i].fault.kind);
		assert_int_equal(fault.at, good[i].fault.at);
		assert_int_equal(fault.value, good[i].fault.value);
		assert_memory_equal(good[i].text, emu_fault_name(fault.kind),
				    strlen(emu_fault_name(fault.kind)));
		seen |= 1u << fault.kind;
	}
	assert_int_equal(seen, (1u << EMU_FAULT_KINDS) - 1);
}

static void bad_texts(void **state)
{
	/* And a word that the error has to have */
	static const char *const bad[][2] = {
		{ "", "unknown kind" },
		{ "@1", "unknown kind" },
		{ "han@1", "unknown kind" },
		{ "hangs@1", "unknown kind" },
		{ "HANG@1", "unknown kind" },
		{ " hang@1", "unknown kind" },
		{ "hang", "N from 1" },
		{ "hang@", "N from 1" },
		{ "hang@0", "N from 1" },
		{ "hang@-1", "N from 1" },
		{ "hang@+1", "N from 1" },
		{ "hang@ 1", "N from 1" },
		{ "hang@x", "N from 1" },
		{ "hang@18446744073709551616", "N from 1" },
		{ "hang@99999999999999999999", "N from 1" },
		{ "hang@1 ", ":VALUE" },
		{ "hang@1x", ":VALUE" },
		{ "hang@1@2", ":VALUE" },
		{ "hang@1:", "no VALUE" },
		{ "hang@1:1", "no VALUE" },
		{ "all-ones@1:0", "no VALUE" },
		{ "power-cut@1:1", "no VALUE" },
		{ "flash-cut@1:65537", "bytes from 0 to 65536" },
		{ "slow-job@1:", "1 to 600000" },
		{ "slow-job@1:0", "1 to 600000" },
		{ "slow-job@1:600001", "1 to 600000" },
		{ "slow-job@1:5s", "1 to 600000" },
		{ "slow-job@1:5:5", "1 to 600000" },
		{ "interrupt-storm@1:1000001", "1 to 1000000" },
		{ "bad-completion@1:3", "sq_head" },
		{ "corrupt-reply@1:4", "ABORTED" },
		{ "boot-failure@1:0", "error code" },
		{ "boot-failure@1:20", "error code" },
		{ "event@1:0", "takes no VALUE" },
		{ "memory-error@1:2", "corrected" },
		{ "ambient@1:151", "Celsius from 0 to 150" },
		{ "ambient@1:-1", "Celsius from 0 to 150" },
		{ "ambient@1:", "Celsius from 0 to 150" },
	};
	struct emu_fault fault;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *wrong = emu_fault_parse(bad[i][0], &fault);

		if (!wrong || !strstr(wrong, bad[i][1]))
			fail_msg("\"%s\": %s", bad[i][0], wrong ? wrong : "was taken");
	}
	/* Who mistyped one is told them all */
	for (enum emu_fault_kind kind = 0; kind < EMU_FAULT_KINDS; kind++)
		assert_non_null(strstr(emu_fault_parse("x@1", &fault), emu_fault_name(kind)));
}

/* --- what each does ----------------------------------------------------------------------------------- */

/* A process of its own, and while no other thread is in this one */
static void power_cut(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (!pid) {
		struct rig rig;
		struct mount_queue *queue = rig_ready(&rig, "power-cut@2");

		mount_job(queue, &nop);
		mount_submit(queue, &nop);
		sleep(60);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void hang(void **state)
{
	struct aipu_completion completion;
	struct rig rig;
	struct mount_queue *queue = rig_ready(&rig, "hang@2");
	uint32_t beat;

	(void)state;
	assert_int_equal(mount_job(queue, &nop).status, AIPU_STATUS_OK);
	mount_submit(queue, &nop);
	/* It beats while it rests, and then no more */
	do {
		beat = rig_read(&rig, AIPU_REG_HEARTBEAT);
		usleep(150000);
	} while (rig_read(&rig, AIPU_REG_HEARTBEAT) != beat);
	assert_int_equal(rig_read(&rig, AIPU_REG_STATUS), AIPU_STATE_READY);
	assert_false(mount_peek(queue, &completion));
	assert_int_equal(emu_card_reset(rig.card, NULL), 0);
	while (rig_read(&rig, AIPU_REG_STATUS) != (AIPU_STATE_ROM | AIPU_STATUS_IDLE))
		usleep(20);
	assert_int_equal(emu_card_bus_master(rig.card, true, NULL), 0);
	assert_int_equal(mount_boot(&rig.mount), AIPU_STATE_RUNNING);
	rig_close(&rig, queue);
}

static void slow_job(void **state)
{
	struct rig rig;
	struct mount_queue *queue = rig_ready(&rig, "slow-job@2:200");

	(void)state;
	assert_int_equal(mount_job(queue, &nop).status, AIPU_STATUS_OK);
	assert_true(mount_job(queue, &nop).time_ns >= 200000000u);
	rig_close(&rig, queue);
}

static void lost_interrupt(void **state)
{
	struct rig rig;
	/* Two replies of the admin queue come before the first completion */
	struct mount_queue *queue = rig_ready(&rig, "lost-interrupt@3");

	(void)state;
	assert_int_equal(mount_job(queue, &nop).status, AIPU_STATUS_OK);
	assert_int_equal(mount_job(queue, &nop).status, AIPU_STATUS_OK);
	rig_await_interrupt(rig.interrupts[1]);
	assert_true(mount_wait_idle(&rig.mount));
	assert_int_equal(rig_interrupts(rig.interrupts[1]), 0);
	assert_int_equal(rig_interrupts(rig.interrupts[0]), 2);
	assert_int_equal(rig_count(&rig, EMU_COUNT_INTERRUPTS), 3);
	rig_close(&rig, queue);
}

static void interrupt_storm(void **state)
{
	struct rig rig;
	struct mount_queue *queue = rig_ready(&rig, "interrupt-storm@4:5000");

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(mount_job(queue, &nop).status, AIPU_STATUS_OK);
	assert_true(mount_wait_idle(&rig.mount));
	assert_int_equal(rig_interrupts(rig.interrupts[1]), 5003);
	assert_int_equal(rig_count(&rig, EMU_COUNT_INTERRUPTS), 5005);
	rig_close(&rig, queue);
}

static void bad_completion(void **state)
{
	static const char *const faults[] = { "bad-completion@2", "bad-completion@2:1",
					      "bad-completion@2:2" };

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		struct aipu_completion completion;
		struct rig rig;
		struct mount_queue *queue = rig_ready(&rig, faults[i]);

		assert_int_equal(mount_job(queue, &nop).id, nop.id);
		completion = mount_job(queue, &nop);
		assert_int_equal(completion.id != nop.id, i == 0);
		assert_int_equal(completion.sq_head >= 8, i == 1);
		assert_int_equal(completion.status >= AIPU_STATUS_COUNT, i == 2);
		assert_int_equal(mount_job(queue, &nop).status, AIPU_STATUS_OK);
		rig_close(&rig, queue);
	}
}

static void corrupt_reply(void **state)
{
	static const char *const faults[] = { "corrupt-reply@3", "corrupt-reply@3:1",
					      "corrupt-reply@3:2", "corrupt-reply@3:3" };
	struct aipu_admin command = { .opcode = AIPU_ADMIN_CREATE_CONTEXT,
				      .id = 4,
				      .context = { .context = 2 } };

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		struct aipu_completion completion;
		struct rig rig;
		struct mount_queue *queue = rig_ready(&rig, faults[i]);

		mount_submit(rig.mount.admin, &command);
		completion = mount_wait(rig.mount.admin);
		assert_int_equal(completion.status >= AIPU_STATUS_COUNT, i == 0);
		assert_int_equal(completion.id != 4, i == 1);
		assert_int_equal(completion.sq_head >= rig.mount.admin->entries, i == 2);
		assert_int_equal(completion.status == AIPU_STATUS_ABORTED, i == 3);
		rig_close(&rig, queue);
	}
}

static void event(void **state)
{
	struct aipu_admin create = { .opcode = AIPU_ADMIN_CREATE_CONTEXT,
				     .context = { .context = 2 } };
	struct aipu_admin command = { .opcode = AIPU_ADMIN_ASYNC_EVENT };
	struct rig rig;
	struct mount_queue *queue = rig_ready(&rig, "event@3");
	uint32_t what;

	(void)state;
	assert_int_equal(rig_read(&rig, AIPU_REG_CORRECTED_ERRORS), 0);
	assert_int_equal(mount_admin(&rig.mount, &create, NULL), AIPU_STATUS_OK);
	assert_int_equal(mount_admin(&rig.mount, &command, &what), AIPU_STATUS_OK);
	assert_int_equal(what, AIPU_EVENT_RAS);
	assert_int_equal(rig_read(&rig, AIPU_REG_CORRECTED_ERRORS), 1);
	rig_close(&rig, queue);
}

/* [FLT-2] */
static void fatal_error(void **state)
{
	struct aipu_admin event = { .opcode = AIPU_ADMIN_ASYNC_EVENT, .id = 3 };
	struct aipu_completion completion;
	struct rig rig;
	struct mount_queue *queue = rig_ready(&rig, "fatal-error@1");

	(void)state;
	mount_submit(rig.mount.admin, &event);
	mount_submit(queue, &nop);
	completion = mount_wait(rig.mount.admin);
	assert_int_equal(completion.id, 3);
	assert_int_equal(completion.detail, AIPU_EVENT_ERROR);
	assert_int_equal(rig_read(&rig, AIPU_REG_STATUS) & AIPU_STATUS_STATE_MASK,
			 AIPU_STATE_FAILED);
	assert_int_equal(rig_read(&rig, AIPU_REG_ERROR), AIPU_ERROR_FATAL);
	rig_close(&rig, queue);
}

/* [PCI-2] */
static void all_ones(void **state)
{
	struct rig rig;
	uint8_t bytes[16], ones[16];
	struct mount_queue *queue = rig_ready(&rig, "all-ones@4");
	uint64_t refused = rig_count(&rig, EMU_COUNT_DMA_REFUSED);

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	assert_true(mount_wait_idle(&rig.mount));
	rig_interrupts(rig.interrupts[0]);
	assert_int_equal(rig_read(&rig, AIPU_REG_MAGIC), AIPU_MAGIC);
	rig_write(&rig, AIPU_REG_HOST_ABI_OLDEST, 5);
	assert_int_equal(rig_read(&rig, AIPU_REG_HOST_ABI_OLDEST), 5);
	/* The fourth: gone */
	rig_write(&rig, AIPU_REG_CONTROL, AIPU_CONTROL_RESET);
	assert_true(atomic_load(&rig.card->gone));
	assert_int_equal(emu_dma_write(rig.card->dma, MOUNT_BASE, ones, 16), -EFAULT);
	assert_false(emu_irq_raise(rig.card->irq, 0));
	refused++;
	assert_int_equal(rig_read(&rig, AIPU_REG_MAGIC), UINT32_MAX);
	assert_int_equal(rig_read(&rig, 2), UINT32_MAX);
	emu_card_read(rig.card, 0, bytes, 8);
	assert_memory_equal(bytes, ones, 8);
	emu_card_read(rig.card, 0, bytes, 3);
	assert_memory_equal(bytes, ones, 3);
	emu_card_memory_read(rig.card, 0, bytes, 16);
	assert_memory_equal(bytes, ones, 16);
	emu_card_memory_write(rig.card, 0, ones, 16);
	assert_int_equal(rig.card->memory[0], 0);
	assert_int_equal(mount_state(&rig.mount), AIPU_STATE_READY); /* the write vanished */
	/* What goes on inside reaches nobody, and Bus Master does not bring it back */
	assert_int_equal(emu_card_bus_master(rig.card, true, NULL), 0);
	mount_submit(queue, &nop);
	while (rig_count(&rig, EMU_COUNT_DMA_REFUSED) == refused)
		usleep(20);
	assert_true(mount_wait_idle(&rig.mount));
	assert_int_equal(rig_interrupts(rig.interrupts[0]), 0);
	assert_int_equal(rig_interrupts(rig.interrupts[1]), 0);
	rig_close(&rig, queue);
}

/* [RAS-1] [RAS-2] [RAS-3] */
static void memory_error(void **state)
{
	struct aipu_admin event = { .opcode = AIPU_ADMIN_ASYNC_EVENT };
	struct rig rig;
	struct mount_queue *queue = rig_ready(&rig, "memory-error@1 memory-error@3:1");
	uint32_t what;

	(void)state;
	for (uint32_t job = 1; job <= 4; job++) {
		assert_int_equal(mount_job(queue, &nop).status,
				 job == 3 ? AIPU_STATUS_INTERNAL : AIPU_STATUS_OK);
		assert_int_equal(rig_read(&rig, AIPU_REG_CORRECTED_ERRORS), 1);
		assert_int_equal(rig_read(&rig, AIPU_REG_UNCORRECTED_ERRORS), job >= 3);
		if (job % 2 == 0)
			continue;
		assert_int_equal(mount_admin(&rig.mount, &event, &what), AIPU_STATUS_OK);
		assert_int_equal(what, AIPU_EVENT_RAS);
	}
	rig_close(&rig, queue);
}

/* In such air the card is too hot in ten seconds at the latest, by real time: not waited for; it gets warmer at once */
static void ambient(void **state)
{
	struct rig rig;
	struct mount_queue *queue = rig_ready(&rig, "ambient@2:150");
	uint32_t warm = rig_read(&rig, AIPU_REG_TEMPERATURE);

	(void)state;
	assert_int_equal(mount_job(queue, &nop).status, AIPU_STATUS_OK);
	assert_int_equal(rig_read(&rig, AIPU_REG_TEMPERATURE), warm);
	assert_int_equal(mount_job(queue, &nop).status, AIPU_STATUS_OK);
	while (rig_read(&rig, AIPU_REG_TEMPERATURE) < warm + 100)
		usleep(1000);
	rig_close(&rig, queue);
}

static void load_ambient(void **state)
{
	struct rig rig;
	uint32_t warm;

	(void)state;
	rig_open(&rig, "load-ambient@1:150");
	warm = rig_read(&rig, AIPU_REG_TEMPERATURE);
	assert_int_equal(mount_boot(&rig.mount), AIPU_STATE_RUNNING);
	while (rig_read(&rig, AIPU_REG_TEMPERATURE) < warm + 100)
		usleep(1000);
	rig_close(&rig, NULL);
}

static void slow_boot(void **state)
{
	double start = cli_now_ms();
	struct rig rig;

	(void)state;
	rig_open(&rig, "slow-boot@1:200");
	assert_int_equal(mount_boot(&rig.mount), AIPU_STATE_RUNNING);
	assert_true(cli_now_ms() - start >= 200);
	rig_close(&rig, NULL);
}

static void boot_failure(void **state)
{
	struct rig rig;

	(void)state;
	/* Several at once, each at its own N */
	rig_open(&rig, "boot-failure@1 boot-failure@3:14 slow-boot@2:20");
	assert_int_equal(mount_boot(&rig.mount), AIPU_STATE_FAILED);
	assert_int_equal(rig_read(&rig, AIPU_REG_ERROR), AIPU_ERROR_FIRMWARE_DIGEST);
	rig_write(&rig, AIPU_REG_CONTROL, AIPU_CONTROL_RESET);
	assert_true(mount_wait_state(&rig.mount, AIPU_STATE_ROM));
	assert_int_equal(mount_boot(&rig.mount), AIPU_STATE_RUNNING);
	rig_write(&rig, AIPU_REG_CONTROL, AIPU_CONTROL_RESET);
	assert_true(mount_wait_state(&rig.mount, AIPU_STATE_ROM));
	assert_int_equal(mount_boot(&rig.mount), AIPU_STATE_FAILED);
	assert_int_equal(rig_read(&rig, AIPU_REG_ERROR), AIPU_ERROR_ADMIN_DMA);
	assert_int_equal(rig_count(&rig, EMU_COUNT_RESETS), 2);
	rig_close(&rig, NULL);
}

/* A line for each that strikes */
static void the_trace_tells(void **state)
{
	char line[64] = "";
	struct rig rig;

	(void)state;
	rig_open(&rig, "boot-failure@1");
	rig.options.trace = tmpfile();
	assert_non_null(rig.options.trace);
	assert_int_equal(mount_boot(&rig.mount), AIPU_STATE_FAILED);
	rewind(rig.options.trace);
	assert_non_null(fgets(line, sizeof(line), rig.options.trace));
	assert_string_equal(line, "fault boot-failure@1\n");
	fclose(rig.options.trace);
	rig_close(&rig, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_texts),	   cmocka_unit_test(bad_texts),
		cmocka_unit_test(power_cut),	   cmocka_unit_test(hang),
		cmocka_unit_test(slow_job),	   cmocka_unit_test(lost_interrupt),
		cmocka_unit_test(interrupt_storm), cmocka_unit_test(bad_completion),
		cmocka_unit_test(corrupt_reply),   cmocka_unit_test(event),
		cmocka_unit_test(fatal_error),	   cmocka_unit_test(all_ones),
		cmocka_unit_test(slow_boot),	   cmocka_unit_test(boot_failure),
		cmocka_unit_test(the_trace_tells), cmocka_unit_test(memory_error),
		cmocka_unit_test(ambient),	   cmocka_unit_test(load_ambient),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
